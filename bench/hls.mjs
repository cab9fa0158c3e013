// Blocking playlist requests of LL-HLS: many players wait for each part, all are answered when it is there.
//
// `node bench/hls.mjs [--players 2000] [--seconds 20]`. A player asks for the next part as soon as it has
// one, on a connection of its own. Of a part's answers the first is taken for the moment it was there:
// the rest is what serving the others took, this process's own reading included.
import { Agent, request } from 'node:http';
import { readFileSync } from 'node:fs';
import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { option } from './figures.mjs';
import { withServer } from './programs.mjs';

const players = option('players', 2000);
const seconds = option('seconds', 20);
const WARM_MS = 3000;

await withServer(['bench/hls-server.mjs'], async ({ pid, host }) => {
  const root = `http://${host}/live/live/bench`;
  const playlist = new URL(await variant(`${root}/index.m3u8`), `${root}/index.m3u8`).href;
  const agent = new Agent({ keepAlive: true, maxSockets: Infinity });
  const delays = [];
  const firsts = new Map();
  const counts = { answers: 0, refused: 0 };
  let counting = false;
  const ending = new AbortController();

  async function play() {
    let at = next((await get(playlist, agent)).body);
    while (!ending.signal.aborted) {
      const { status, body } = await get(
        `${playlist}?_HLS_msn=${at.msn}&_HLS_part=${at.part}`,
        agent,
      );
      const now = performance.now();
      if (status !== 200) counts.refused += 1;
      else if (counting) {
        counts.answers += 1;
        const key = `${at.msn}.${at.part}`;
        if (!firsts.has(key)) firsts.set(key, now);
        delays.push(now - firsts.get(key));
      }
      at = next(body);
    }
  }

  const all = [];
  for (let player = 0; player < players; player++) {
    all.push(play());
    if (player % 50 === 49) await sleep(20);
  }
  await sleep(WARM_MS);
  counting = true;
  const [before, begin] = [cpuSeconds(pid), performance.now()];
  await sleep(seconds * 1000);
  const [used, elapsed] = [cpuSeconds(pid) - before, (performance.now() - begin) / 1000];
  counting = false;
  ending.abort();
  await Promise.all(all);
  agent.destroy();

  delays.sort((a, b) => a - b);
  const percentile = (p) => delays[Math.floor((delays.length - 1) * p)]?.toFixed(1);
  console.log(`${players} players, ${firsts.size} parts in ${elapsed.toFixed(1)} s:`);
  console.log(
    `  ${(counts.answers / elapsed).toFixed(0)} blocking requests per second, ${counts.refused} refused`,
  );
  console.log(
    `  p50/p99/max after the part's first answer ${percentile(0.5)}/${percentile(0.99)}/${percentile(1)} ms`,
  );
  console.log(
    `  server ${((used / elapsed) * 100).toFixed(0)} % of a core, ${((used / counts.answers) * 1e6).toFixed(0)} µs per request`,
  );
  console.log(`  load average ${os.loadavg()[0]?.toFixed(1)}`);
});

async function variant(url) {
  const { body } = await get(url);
  return body.split('\n').find((line) => line.endsWith('.m3u8'));
}

/** The part that a playlist does not list yet. */
function next(text) {
  const lines = text.split('\n');
  const number = (pattern) => Number(pattern.exec(text)?.[1] ?? 0);
  const segments = number(/SKIPPED-SEGMENTS=(\d+)/) + count(lines, '#EXTINF');
  const open = lines.slice(lines.findLastIndex((line) => line.startsWith('#EXTINF')) + 1);
  return {
    msn: number(/#EXT-X-MEDIA-SEQUENCE:(\d+)/) + segments,
    part: count(open, '#EXT-X-PART:'),
  };
}

function count(lines, tag) {
  return lines.filter((line) => line.startsWith(tag)).length;
}

function get(url, agent) {
  return new Promise((resolve, reject) => {
    request(url, { agent }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode, body: Buffer.concat(chunks).toString() }),
      );
    })
      .on('error', reject)
      .end();
  });
}

/** User and system time of a process; Linux counts in hundredths. */
function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
