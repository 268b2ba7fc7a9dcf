/** What a process that makes load is told to do, and what it says afterwards. */

export type Job = {
  readonly caseName: string;
  readonly contender: string;
  /** Of the server, or of the database for those that work without one. */
  readonly url: string;
  readonly connections: number;
  readonly poolSize: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
};

export type Outcome =
  | { readonly perSecond: number; readonly milliseconds: Float64Array }
  | { readonly failure: string };
