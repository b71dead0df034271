// Writes htu.json: URIs, and what uri-js, which shares no code with the gate, normalises them to. The query and the fragment are
// left out. Run in an empty directory: npm install uri-js@4.4.1 && node htu.cjs > htu.json
const URI = require('uri-js');
let seed = 9449;
const random = n => (seed = (seed * 48271) % 2147483647) % n;
const pick = a => a[random(a.length)];
const schemes = ['https', 'https', 'HTTPS', 'http', 'Http'];
const hosts = ['api.example', 'API.Example', 'api.ex%61mple', 'a%2Dpi.example', 'api.example.', 'x_y.example', '10.0.0.1',
  '[2001:DB8::1]', '[::1]', 'a%2bb.example'];
const ports = ['', '', '', ':443', ':80', ':', ':8443'];
const segments = ['r', 'R', '.', '..', '%2e', '%2E%2e', '', 'a%2fb', 'a%2Fb', '%7Euser', '%7euser', '~user', "a;b=c,d", '%41%5a',
  '%c3%a9', '...', '.x', '(1)!*', 'a:b@c', '%25', '%2541', "it's", '$&+='];
const suffixes = ['', '', '', '?x=1', '#f', '?x#y'];
const rows = new Map();
while (rows.size < 300) {
  let path = '';
  for (let i = random(6); i > 0; i--) path += '/' + pick(segments);
  if (random(4) === 0) path += '/';
  const input = pick(schemes) + '://' + pick(hosts) + pick(ports) + path + pick(suffixes);
  const { scheme, host, port, path: p } = URI.parse(URI.normalize(input));
  const h = host.includes(':') ? `[${host}]` : host;
  rows.set(input, `${scheme}://${h}${port === undefined || port === '' ? '' : ':' + port}${p}`);
}
console.log('[\n' + [...rows].map(r => JSON.stringify(r)).join(',\n') + '\n]');
