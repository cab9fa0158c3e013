/** Runs inside a page before its own scripts: a drawn person in place of the camera's test pattern. */
(() => {
  const FRAMES_PER_SECOND = 12;
  const seed = [...(new URLSearchParams(location.search).get('name') ?? '')].reduce(
    (sum, character) => (sum * 31 + (character.codePointAt(0) ?? 0)) % 997,
    7,
  );
  const hue = (seed * 47) % 360;
  const skin = ['#f1c9a5', '#c68e63', '#8d5a3b', '#e3b08c'][seed % 4];
  const hair = ['#3b2a20', '#1d1a1a', '#7a4a22', '#b58a4a'][(seed >> 2) % 4];
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);

  navigator.mediaDevices.getUserMedia = async ({ audio = false, video = false }) => {
    const sound = audio ? await open({ audio }) : new MediaStream();
    if (!video) return sound;
    const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 360 });
    const context = canvas.getContext('2d');
    const room = new OffscreenCanvas(canvas.width, canvas.height);
    drawRoom(room.getContext('2d'), hue);
    const draw = () => {
      context.drawImage(room, 0, 0);
      drawPerson(context, { hue, skin, hair, at: performance.now() / 1000 + seed });
    };
    draw();
    setInterval(draw, 1000 / FRAMES_PER_SECOND);
    const [picture] = canvas.captureStream(FRAMES_PER_SECOND).getVideoTracks();
    return new MediaStream([...sound.getAudioTracks(), picture]);
  };
})();

function drawRoom(context, hue) {
  const wall = context.createLinearGradient(0, 0, 640, 360);
  wall.addColorStop(0, `hsl(${hue} 35% 78%)`);
  wall.addColorStop(1, `hsl(${hue + 25} 30% 52%)`);
  context.fillStyle = wall;
  context.fillRect(0, 0, 640, 360);
  const light = context.createRadialGradient(90, 60, 10, 90, 60, 260);
  light.addColorStop(0, 'rgb(255 250 235 / 75%)');
  light.addColorStop(1, 'rgb(255 250 235 / 0%)');
  context.fillStyle = light;
  context.fillRect(0, 0, 640, 360);
  context.fillStyle = `hsl(${hue} 25% 34%)`;
  context.fillRect(450, 120, 170, 8);
  for (const [i, height] of [58, 70, 50, 64, 74, 54, 66].entries()) {
    context.fillStyle = `hsl(${(hue + 40 + i * 37) % 360} 38% ${46 + (i % 3) * 8}%)`;
    context.fillRect(462 + i * 20, 120 - height, 16, height);
  }
}

function drawPerson(context, { hue, skin, hair, at }) {
  const sway = Math.sin(at * 1.3) * 8;
  const nod = Math.sin(at * 2.1) * 4;
  const [x, y] = [320 + sway, 172 + nod];
  ellipse(context, `hsl(${(hue + 180) % 360} 32% 36%)`, 320 + sway * 0.5, 400, 170, 140);
  context.fillStyle = skin;
  context.fillRect(x - 24, y + 50, 48, 60);
  ellipse(context, hair, x, y - 22, 76, 78);
  ellipse(context, skin, x, y, 64, 78);
  ellipse(context, hair, x, y - 62, 66, 30);
  const blink = Math.sin(at * 0.9) > 0.985 ? 1 : 6;
  for (const side of [-1, 1]) ellipse(context, '#2b2320', x + side * 24, y - 6, 5, blink);
  context.strokeStyle = '#7d3f35';
  context.lineWidth = 4;
  context.beginPath();
  context.arc(x, y + 22, 20, 0.2 * Math.PI, 0.8 * Math.PI);
  context.stroke();
}

function ellipse(context, color, x, y, width, height) {
  context.fillStyle = color;
  context.beginPath();
  context.ellipse(x, y, width, height, 0, 0, 2 * Math.PI);
  context.fill();
}
