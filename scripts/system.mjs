// Debian packages that only the tests use. Each absent one is installed where that is allowed,
// else named loudly; the specs that need it then skip, and CI fails.
import { probe, requireAll, run } from './process.mjs';

/** What a spec may need, where it is looked for, and which packages bring it. */
const TOOLS = [
  {
    tool: 'Chromium',
    variable: 'CHROMIUM_PATH',
    commands: ['chromium', 'chromium-browser', 'google-chrome'],
    packages: ['chromium', 'fonts-liberation'],
  },
  {
    tool: 'Firefox',
    variable: 'FIREFOX_PATH',
    commands: ['firefox-esr', 'firefox'],
    packages: ['firefox-esr'],
  },
  { tool: 'FFmpeg', variable: 'FFMPEG_PATH', commands: ['ffmpeg'], packages: ['ffmpeg'] },
  {
    tool: 'GStreamer',
    variable: 'GST_LAUNCH_PATH',
    commands: ['gst-launch-1.0'],
    packages: [
      'gstreamer1.0-tools',
      'gstreamer1.0-plugins-base',
      'gstreamer1.0-plugins-good',
      'gstreamer1.0-plugins-bad',
      'gstreamer1.0-nice',
      'python3-gi',
      'gir1.2-gst-plugins-bad-1.0',
    ],
  },
  { tool: 'ip', variable: 'IP_PATH', commands: ['ip'], packages: ['iproute2'] },
  { tool: 'pip', variable: 'PIP_PATH', commands: ['/usr/bin/pip3'], packages: ['python3-pip'] },
];

const paths = {};

/** Finds or installs every tool of the table. */
export async function installSystemPackages() {
  let absent = TOOLS.filter((tool) => !locate(tool));
  if (absent.length > 0) {
    await install(absent.flatMap(({ packages }) => packages));
    absent = absent.filter((tool) => !locate(tool));
  }
  for (const { tool, packages } of absent) {
    console.warn(`  ! ${tool} is not installed; its specs ${requireAll ? 'FAIL' : 'are SKIPPED'}.`);
    console.warn(`    Install it: apt-get install ${packages.join(' ')}`);
  }
  const found = TOOLS.filter((tool) => !absent.includes(tool)).map(({ tool }) => tool);
  return found.length > 0 ? found.join(', ') : 'none';
}

/** The variables that tell specs where each tool is. */
export function toolPaths() {
  return paths;
}

/** The tools that were not found. */
export function absentTools() {
  return TOOLS.filter(({ variable }) => paths[variable] === undefined).map(({ tool }) => tool);
}

function locate({ variable, commands }) {
  const candidates = [process.env[variable], ...commands].filter((name) => name);
  const path = candidates
    .map((name) => probe('sh', ['-c', 'command -v "$1"', 'sh', name]))
    .find((found) => found !== undefined && found !== '');
  if (path !== undefined) paths[variable] = path;
  return path !== undefined;
}

async function install(packages) {
  const sudo = becomeRoot();
  if (sudo === undefined || probe('sh', ['-c', 'command -v apt-get']) === undefined) return;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const flags = ['install', '-y', '-q', '--no-install-recommends', ...packages];
  console.log(`  apt-get ${flags.join(' ')}`);
  for (const args of [['update', '-q'], flags]) {
    const [command, ...rest] = [...sudo, 'apt-get', ...args];
    await run(command, rest, { env, onOutput: () => {} });
  }
}

/** The words before a command that needs root, or `undefined` where root is out of reach. */
function becomeRoot() {
  if (process.getuid?.() === 0) return [];
  return probe('sudo', ['-n', 'true']) === undefined ? undefined : ['sudo', '-n'];
}
