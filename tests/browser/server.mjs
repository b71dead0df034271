// A program of this workspace that serves the page, on a free port of the loopback interface.
import { spawn } from 'node:child_process';
import { openSync } from 'node:fs';
import { createInterface } from 'node:readline';

const STARTS_WITHIN = 20_000;

/** Starts a program, which logs to the file `log`, and returns the first address that it prints, and how to end it. */
export async function serve(log, program, args = []) {
  const child = spawn(program, args, { env: { ...process.env, PORT: '0' }, stdio: ['ignore', 'pipe', openSync(log, 'w')] });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const stop = async () => {
    child.kill();
    await ended;
  };
  const url = await Promise.race([
    firstAddress(child.stdout),
    new Promise((_, reject) => child.once('error', reject)),
    ended.then((code) => Promise.reject(new Error(`${program} ended with ${code} and printed no address`))),
    new Promise((_, reject) => setTimeout(reject, STARTS_WITHIN, new Error(`${program} printed no address`)).unref()),
  ]);
  child.stdout.resume();
  return { url, stop };
}

function firstAddress(output) {
  return new Promise((resolve) => {
    createInterface({ input: output }).on('line', (line) => {
      const address = /http:\/\/127\.0\.0\.1:\d+/.exec(line);
      if (address) resolve(address[0]);
    });
  });
}
