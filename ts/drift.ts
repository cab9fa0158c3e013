/** A type without `readonly` and without the brands of ids: what two declarations must agree on. */
export type Plain<T> = T extends string
  ? string extends Unbranded<T>
    ? string
    : T
  : T extends readonly (infer E)[]
    ? Plain<E>[]
    : T extends object
      ? { -readonly [K in keyof T]: Plain<T[K]> }
      : T;

/** `string` for a branded string, and a literal as it is. */
type Unbranded<T extends string> = T extends `${infer Literal}` ? Literal : string;

/** Whether two types are the same one. */
export type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** The members of a union by their `type`. */
export type ByType<U extends { readonly type: string }> = { [E in U as E['type']]: Plain<E> };

/** The keys under which two maps differ; `never` when they agree. */
export type Drift<A, B> = {
  [K in keyof A | keyof B]: K extends keyof A & keyof B
    ? Same<A[K], B[K]> extends true
      ? never
      : K
    : K;
}[keyof A | keyof B];
