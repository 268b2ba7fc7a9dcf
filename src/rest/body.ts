import express, { type Request, type Response } from 'express';
import { CallerError } from '../errors.ts';

/** Reads a body as text, or answers 413 for what exceeds the limit and 400 for what is no UTF-8. */
export type BodyReader = (request: Request, response: Response) => Promise<string>;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A route reads its body only when its turn has come, so the reader runs within the route. */
export function bodyReader(limit: string): BodyReader {
  const read = express.raw({ type: () => true, limit });
  return async (request, response) => {
    await new Promise<void>((resolve, reject) => {
      read(request, response, (error?: unknown) => (error ? reject(error) : resolve()));
    });
    if (!Buffer.isBuffer(request.body)) return '';
    try {
      return utf8.decode(request.body);
    } catch {
      // Decoded leniently, a name would be stored with other characters than were sent.
      throw new CallerError('VALIDATION_FAILED', 'The body is no UTF-8.');
    }
  };
}
