/**
 * @param {import('node:http').ServerResponse} response
 * @param {number} status
 * @param {string} text
 * @param {Record<string, string>} [headers]
 */
export function sendText(response, status, text, headers = {}) {
  response.writeHead(status, {
    'Content-Type': 'text/plain; charset=utf-8',
    'Cache-Control': 'no-store',
    ...headers,
  });
  response.end(text);
}

/**
 * @param {import('node:http').ServerResponse} response
 * @param {unknown} value
 */
export function sendJson(response, value) {
  sendText(response, 200, JSON.stringify(value, undefined, 2), {
    'Content-Type': 'application/json; charset=utf-8',
  });
}
