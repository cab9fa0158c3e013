/** The smallest live server: publish by WHIP, play by WHEP and LL-HLS. `node examples/live.js` */
import { createServer } from 'node:http';
import { Server, allowAll, optionsFromEnv } from 'sluice';

const { live } = await Server.start(optionsFromEnv());
live.use(allowAll); // Everybody may publish and play. Without an authorizer nobody may.
live.on('publishStarted', ({ key, protocol }) => console.log(`${key} by ${protocol}`));

createServer(live.httpHandler()).listen(Number(process.env['PORT'] ?? 8080), '127.0.0.1', () => {
  console.log('ready');
});
