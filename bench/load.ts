import { callersOf } from './cases/callers.ts';
import { closedLoop } from './closed-loop.ts';
import { connectTo } from './http-client.ts';
import { answerJobs } from './load-process.ts';

answerJobs(async (job) => {
  const makeCall = callersOf(job.caseName, job.contender).http;
  if (makeCall === undefined) throw new Error('This contender is not asked by HTTP.');
  const connections = Array.from({ length: job.connections }, () => connectTo(job.url));
  try {
    const calls = await Promise.all(
      connections.map((connection, number) => makeCall(connection, number)),
    );
    return await closedLoop(calls, job.warmUpSeconds, job.seconds);
  } finally {
    await Promise.all(connections.map((connection) => connection.close()));
  }
});
