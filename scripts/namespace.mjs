// A private network for the specs: nothing they send leaves the machine, ports never collide,
// and the browser sees exactly one interface.
import { probe } from './process.mjs';

// A veth pair with both ends inside. The default route makes Chromium enumerate v0's addresses:
// it asks the kernel which address would reach the Internet.
const SET_UP = [
  'ip link set lo up',
  'ip link add v0 type veth peer name v1',
  'ip addr add 10.77.0.1/24 dev v0',
  'ip link set v0 up',
  'ip link set v1 up',
  'ip route add default via 10.77.0.254 dev v0',
  // A kernel without IPv6 still runs the IPv4 specs.
  '{ ip -6 addr add fd77::1/64 dev v0 nodad && ip -6 route add default via fd77::fe dev v0; } 2>/dev/null || true',
].join(' && ');

/**
 * Wraps a command so that it runs in its own network namespace.
 * @returns the words to put before it, or `undefined` where namespaces are not available
 */
export function privateNetwork() {
  const flags = process.getuid?.() === 0 ? ['-n'] : ['-rn'];
  if (process.platform !== 'linux') return undefined;
  if (probe('unshare', [...flags, 'sh', '-c', SET_UP]) === undefined) return undefined;
  return ['unshare', ...flags, 'sh', '-c', `${SET_UP} && exec "$@"`, 'sh'];
}
