// Opens each page in a frame and posts what was found: title, language, headings, pictures, links, width, contrast, targets, search.
const frame = document.createElement('iframe');
frame.width = asked.width; frame.height = 900; frame.style.border = 0;
document.body.append(frame);
const wait = ms => new Promise(done => setTimeout(done, ms));

function open(page) {
  return new Promise(done => { frame.onload = () => done(frame.contentDocument); frame.src = page; });
}
function parts(color) {
  const canvas = parts.canvas ??= Object.assign(document.createElement('canvas'), {width: 1, height: 1}).getContext('2d', {willReadFrequently: true});
  const known = parts.known ??= new Map();
  if (!known.has(color)) {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    known.set(color, [r, g, b, a / 255]);
  }
  return known.get(color);
}
const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a)];
function luminance(rgb) {
  const [r, g, b] = rgb.map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function contrast(element, view) {
  const layers = [];
  let opacity = 1, isGround = false;
  for (let at = element; at; at = at.parentElement) {
    const style = view.getComputedStyle(at);
    opacity *= +style.opacity;
    if (!isGround) layers.push(parts(style.backgroundColor));
    isGround ||= layers.at(-1)[3] === 1;
  }
  let ground = [255, 255, 255];
  for (const layer of layers.reverse()) ground = over(layer, ground);
  if (opacity === 0) return Infinity;
  const [r, g, b, a] = parts(view.getComputedStyle(element).color);
  const ink = over([r, g, b, a * opacity], ground);
  const [low, high] = [luminance(ink), luminance(ground)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}
function pale(page, view) {
  const found = new Map();
  const walker = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
    if (!text || element.closest('script, style, noscript, svg, [hidden]')) continue;
    const box = element.getBoundingClientRect(), style = view.getComputedStyle(element);
    if (!box.width || !box.height || style.visibility !== 'visible' || box.right <= 0 || box.left >= asked.width) continue;
    if (+style.opacity === 0 || element.closest('[data-md-component="top"], .md-clipboard')) continue;
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && +style.fontWeight >= 700);
    const ratio = contrast(element, view);
    if (ratio < (large ? 3 : 4.5)) found.set(`${element.tagName.toLowerCase()}.${element.className}`, `${ratio.toFixed(2)} ${text.slice(0, 30)}`);
  }
  return Object.fromEntries(found);
}
function small(page, view) {
  return [...page.querySelectorAll('a[href], button, label[for], input')].filter(item => {
    const box = item.getBoundingClientRect(), style = view.getComputedStyle(item);
    const seen = box.width > 0 && box.height > 0 && style.visibility === 'visible' && box.right > 0 && box.left < asked.width && +style.opacity > 0;
    return seen && style.display !== 'inline' && !item.closest('.md-clipboard') && (box.height < 24 || box.width < 24);
  }).map(item => `${item.tagName.toLowerCase()}.${item.className} ${item.textContent.trim().slice(0, 30)}`);
}
async function look(name) {
  const page = await open(name), view = frame.contentWindow;
  page.head.append(Object.assign(page.createElement('style'), {textContent: '* { transition: none !important; animation: none !important }'}));
  await wait(30);
  const found = {
    title: page.title, lang: page.documentElement.lang, headings: page.querySelectorAll('h1').length,
    unnamed: [...page.images].filter(item => !item.alt.trim()).map(item => item.src),
    broken: [...page.images].filter(item => !item.naturalWidth).map(item => item.src),
    width: page.documentElement.scrollWidth, small: small(page, view),
    links: [...page.querySelectorAll('a[href]')].map(item => item.href), asked: view.performance.getEntriesByType('resource').map(item => item.name), ids: [...page.querySelectorAll('[id]')].map(item => item.id), pale: {},
  };
  for (const scheme of ['default', 'slate']) {
    page.body.setAttribute('data-md-color-scheme', scheme);
    await wait(60);
    found.pale[scheme] = pale(page, view);
  }
  return found;
}
async function search(words) {
  const page = await open(asked.pages[0]), view = frame.contentWindow;
  const field = page.querySelector('[data-md-component="search-query"]');
  page.querySelector('[data-md-toggle="search"]').click();
  field.dispatchEvent(new view.FocusEvent('focus'));
  field.value = words;
  for (let i = 0; i < 100; i++) {
    field.dispatchEvent(new view.KeyboardEvent('keyup', {bubbles: true}));
    await wait(300);
    const found = [...page.querySelectorAll('.md-search-result__link')].map(item => item.href);
    if (found.length) return found;
  }
  return [];
}
(async () => {
  const found = {pages: {}, search: []};
  try {
    found.search = await search('дрейф');
    for (const name of asked.pages) found.pages[name] = await look(name);
  } catch (error) { found.error = `${error} ${error.stack}`; }
  await fetch('/__told', {method: 'POST', body: JSON.stringify(found)});
})();
