import { EventEmitter } from 'node:events';

/** Lists of arguments by event name. */
export type EventMap<Events> = Record<keyof Events, unknown[]>;

/** Calls the listeners of an event; only this package holds it. */
export let deliver: <Events extends EventMap<Events>, Name extends keyof Events & string>(
  emitter: Emitter<Events>,
  name: Name,
  ...given: Events[Name]
) => boolean;

/** Says where errors of an emitter's listeners go; only this package holds it. */
export let reportTo: <Events extends EventMap<Events>>(
  emitter: Emitter<Events>,
  report: (error: unknown) => void,
) => void;

/**
 * A typed `EventEmitter` whose listeners cannot harm each other or the process: what one throws, or
 * rejects with, is told by the server's `'error'` event, else by `process.emitWarning()`.
 */
export class Emitter<Events extends EventMap<Events>> extends EventEmitter<Events> {
  #report: (error: unknown) => void = warn;

  static {
    deliver = (emitter, name, ...given) => emitter.#deliver(name, given);
    reportTo = (emitter, report) => {
      emitter.#report = report;
    };
  }

  #deliver(name: keyof Events & string, given: readonly unknown[]): boolean {
    // The typed overloads of `EventEmitter` cannot follow a generic name.
    const listeners = (this as EventEmitter).rawListeners(name);
    for (const listener of listeners) {
      try {
        const outcome: unknown = Reflect.apply(listener, this, given);
        if (outcome instanceof Promise) outcome.catch(this.#report);
      } catch (error) {
        this.#report(error);
      }
    }
    return listeners.length > 0;
  }
}

/**
 * Tells of an error nobody listens for.
 *
 * @internal
 */
export function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : new Error(String(error)));
}
