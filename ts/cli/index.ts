#!/usr/bin/env node
import { parseArgs } from 'node:util';
import { isBroken, judge, line, summary, type Result, type Rule } from './report.js';
import { Target, type Protocol } from './target.js';
import { whepRules } from './whep.js';
import { whipRules } from './whip.js';

const USAGE = `usage: sluice whip-conformance URL [--token TOKEN] [--json]
       sluice whep-conformance URL [--token TOKEN] [--json]

Checks a WHIP endpoint by RFC 9725 or a WHEP endpoint by draft-ietf-wish-whep-04, rule by rule.
No media is sent; each session is ended. A WHIP URL must be free, a WHEP URL have a publisher.
Exit code: 0 if no MUST is broken, 1 if one is, 2 for a wrong command line.
`;

const commands = new Map<string, { protocol: Protocol; rules: readonly Rule[] }>([
  ['whip-conformance', { protocol: 'whip', rules: whipRules }],
  ['whep-conformance', { protocol: 'whep', rules: whepRules }],
]);

// A reader that has seen enough, such as `head`, is no failure of ours.
process.stdout.on('error', () => process.exit());

process.exitCode = await main();

async function main(): Promise<number> {
  const parsed = parse();
  if (parsed === undefined) {
    process.stderr.write(USAGE);
    return 2;
  }
  const { url, protocol, rules, token, json } = parsed;
  const results: Result[] = [];
  for await (const result of judge(rules, new Target(url, protocol, token))) {
    results.push(result);
    if (!json) process.stdout.write(line(result));
  }
  process.stdout.write(json ? `${JSON.stringify(results, undefined, 2)}\n` : summary(results));
  return isBroken(results) ? 1 : 0;
}

function parse() {
  try {
    const { values, positionals } = parseArgs({
      options: { token: { type: 'string' }, json: { type: 'boolean', default: false } },
      allowPositionals: true,
    });
    const [name = '', url = '', ...rest] = positionals;
    const command = commands.get(name);
    const isHttp = /^https?:$/.test(new URL(url).protocol);
    if (command === undefined || rest.length > 0 || !isHttp) return undefined;
    return { url, token: values.token, json: values.json, ...command };
  } catch {
    return undefined;
  }
}
