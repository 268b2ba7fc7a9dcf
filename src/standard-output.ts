/** What commands tell people, a line at a time. */
export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Whoever reads the output may have read enough: `bursar … | head -1`. */
export function letReadersLeave(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}
