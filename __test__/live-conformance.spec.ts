import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import test from 'ava';
import { allowAll, Server } from 'sluice';
import type { Result } from '../dist/cli/report.js';
import { play } from './live-media.js';

const cli = new URL('../dist/cli/index.js', import.meta.url).pathname;

for (const protocol of ['whip', 'whep'] as const) {
  test(`our ${protocol} endpoint breaks no rule`, async (t) => {
    const server = await Server.start({ udpPort: 0, bindAddress: '127.0.0.1', shards: 1 });
    server.live.use(allowAll);
    const http = createServer(server.live.httpHandler() as RequestListener);
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    const controller = new AbortController();
    t.teardown(async () => {
      controller.abort();
      await playing;
      await server.close();
      http.close();
      http.closeAllConnections();
    });
    const playing =
      protocol === 'whep' && play(await server.live.publish('live/show'), controller.signal);
    const { port } = http.address() as AddressInfo;
    const { code, stdout } = await run([
      `${protocol}-conformance`,
      `http://127.0.0.1:${port}/live/live/show/${protocol}`,
      '--json',
    ]);
    const results = JSON.parse(stdout) as Result[];
    const of = (verdict: Result['verdict']) => results.filter((r) => r.verdict === verdict);
    t.deepEqual(of('fail'), []);
    t.is(code, 0);
    t.true(of('pass').length > 25, `${of('pass').length} passed`);
    t.log(of('skip'));
  });
}

function run(args: readonly string[]): Promise<{ code: number; stdout: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [cli, ...args], (_, stdout) => {
      resolve({ code: child.exitCode ?? -1, stdout });
    });
  });
}
