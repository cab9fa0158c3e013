import type { Target } from './target.js';

/** How strongly a document asks for something (RFC 2119). A broken `SHOULD` is told and fails nothing. */
type Level = 'MUST' | 'SHOULD';

/** One thing a document asks of a server. */
export interface Rule {
  readonly level: Level;
  /** The section, and the document where it is not the protocol's own. */
  readonly section: string;
  /** What is asked, as a fact about a server that does it. */
  readonly text: string;
  /** Returns if the server does it; throws a {@link Skip} if that cannot be told, anything else if it does not. */
  readonly check: (target: Target) => Promise<void>;
}

/** How one rule went. */
export interface Result {
  readonly level: Level;
  readonly section: string;
  readonly text: string;
  readonly verdict: 'pass' | 'fail' | 'skip';
  /** Why not `pass`. */
  readonly reason?: string;
}

/** Says that a rule does not apply to this server, or cannot be seen from outside. */
export class Skip extends Error {}

/** Fails a rule unless the condition holds. */
export function expect(condition: boolean, reason: string): asserts condition {
  if (!condition) throw new Error(reason);
}

/** Runs the rules one after another and gives each result as soon as it is there. */
export async function* judge(rules: readonly Rule[], target: Target): AsyncGenerator<Result> {
  for (const { check, ...rule } of rules) {
    try {
      await check(target);
      yield { ...rule, verdict: 'pass' };
    } catch (error) {
      const verdict = error instanceof Skip ? 'skip' : 'fail';
      yield { ...rule, verdict, reason: describe(error) };
    }
  }
}

/** A result as a line; the reason on a second one. */
export function line({ verdict, level, section, text, reason }: Result): string {
  const head = `${verdict}  ${level.padEnd(6)}  ${section.padEnd(17)}  ${text}\n`;
  return reason === undefined ? head : `${head}      ${reason}\n`;
}

/** The last line. */
export function summary(results: readonly Result[]): string {
  const count = (verdict: Result['verdict'], level?: Level): number =>
    results.filter((r) => r.verdict === verdict && (level ?? r.level) === r.level).length;
  const broken = `${count('fail', 'MUST')} broken, ${count('fail', 'SHOULD')} advised otherwise`;
  return `${count('pass')} passed, ${broken}, ${count('skip')} skipped\n`;
}

/** Whether a rule that binds is broken. */
export function isBroken(results: readonly Result[]): boolean {
  return results.some(({ verdict, level }) => verdict === 'fail' && level === 'MUST');
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
