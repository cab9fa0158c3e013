import { createHmac } from 'node:crypto';
import test from 'ava';
import { jwtAuthorizer, signToken, tokenAuthorizer } from 'sluice';
import type { AuthorizeRequest } from 'sluice';

test('a token opens its stream and that stream’s layers until it expires', async (t) => {
  const soon = new Date(Date.now() + 60_000);
  const token = signToken('a secret', 'live/show', soon);
  t.regex(token, /^\d{10}:[0-9a-f]{64}$/);
  t.is(token, signToken(Buffer.from('a secret'), 'live/show', soon));
  const judge = tokenAuthorizer('a secret');
  const ask = (request: Partial<Omit<AuthorizeRequest, 'key'>> & { key?: string }) =>
    judge({ action: 'publish', key: 'live/show', protocol: 'whip', ...request } as never);
  const good = { allow: true, identity: 'live/show' };
  t.deepEqual(await ask({ token }), good);
  t.deepEqual(await ask({ action: 'play', query: `a=b&token=${encodeURIComponent(token)}` }), good);
  t.like(await ask({ token, key: 'live/show~hi' }), { allow: true });
  const bad = { allow: false, reason: 'badCredentials' };
  for (const request of [
    {},
    { token: '' },
    { token: 'x' },
    { token: token.slice(0, -1) },
    { token: `${token}0` },
    { token: `0${token}` },
    { token: token.replace(/^\d+/, '9999999999') },
    { token: 'x'.repeat(5000) },
    { token, key: 'live/other' },
    { token: signToken('another secret', 'live/show', soon) },
  ]) {
    t.deepEqual(await ask(request), bad, JSON.stringify(request));
  }
  const expired = signToken('a secret', 'live/show', new Date(Date.now() - 1000));
  t.deepEqual(await ask({ token: expired }), { allow: false, reason: 'expired' });
  t.throws(() => signToken('', 'live/show', soon), { instanceOf: RangeError });
  t.throws(() => signToken('a', 'show', soon), { instanceOf: TypeError });
  t.throws(() => signToken('a', 'live/show', new Date(Number.NaN)), { instanceOf: RangeError });
  t.throws(() => signToken('a', 'live/show', 7 as never), { instanceOf: TypeError });
  t.throws(() => tokenAuthorizer(7 as never), { instanceOf: TypeError });
});

test('a JWT opens what its scope names, until it expires, for who it was made', async (t) => {
  const now = Math.floor(Date.now() / 1000);
  const judge = jwtAuthorizer('a secret', { issuer: 'us', leewaySeconds: 5 });
  const ask = (token: string, action: 'publish' | 'play' = 'play', key = 'live/show') =>
    judge({ action, key, protocol: 'whep', token } as never);
  const claims = { iss: 'us', exp: now + 60, scope: 'play:live/*', sub: 'Ada' };
  t.deepEqual(await ask(jwt(claims)), { allow: true, identity: 'Ada' });
  t.deepEqual(await ask(jwt({ ...claims, sub: undefined })), true);
  t.deepEqual(await ask(jwt(claims), 'play', 'live/show~hi'), { allow: true, identity: 'Ada' });
  t.deepEqual(await ask(jwt(claims), 'publish'), { allow: false, reason: 'notAllowed' });
  t.deepEqual(await ask(jwt({ ...claims, exp: now - 60 })), { allow: false, reason: 'expired' });
  const bad = { allow: false, reason: 'badCredentials' };
  t.deepEqual(await ask(jwt({ ...claims, iss: 'them' })), bad);
  t.deepEqual(await ask(jwt({ ...claims, aud: 'others' })), bad);
  t.deepEqual(await ask(jwt({ ...claims, exp: undefined })), bad);
  t.deepEqual(await ask(jwt(claims, 'another')), bad);
  t.deepEqual(await ask(jwt(claims, 'a secret', 'none')), bad);
  t.deepEqual(await ask('a.b.c'), bad);
  t.throws(() => jwtAuthorizer('a', { leewaySeconds: -1 }), { instanceOf: RangeError });
  t.throws(() => jwtAuthorizer('a', { issuer: 7 as never }), { instanceOf: TypeError });
});

function jwt(claims: object, secret = 'a secret', alg = 'HS256'): string {
  const signed = `${part({ alg, typ: 'JWT' })}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
