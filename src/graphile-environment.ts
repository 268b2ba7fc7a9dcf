// Read once, while PostGraphile loads: this module comes before it. Its development mode is for those who
// write plugins, and slower.
process.env.GRAPHILE_ENV ??= 'production';
