// The texts that do not contrast with what is behind them as WCAG 2 AA asks.
(() => {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  // Layers of colours, the lowest first, as one.
  const mix = (colours) => {
    pen.clearRect(0, 0, 1, 1);
    for (const c of colours) { pen.fillStyle = c; pen.fillRect(0, 0, 1, 1); }
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const low = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let checked = 0;
  while (texts.nextNode()) {
    const el = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !el.checkVisibility() || el.closest("script, title, caption, .skip")) continue;
    const behind = [];
    for (let e = el; e; e = e.parentElement) behind.unshift(getComputedStyle(e).backgroundColor);
    const style = getComputedStyle(el);
    const a = light(mix(behind)), b = light(mix([...behind, el.closest("svg") ? style.fill : style.color]));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    checked++;
    if (ratio < 4.5) low.push(ratio.toFixed(2) + " for “" + texts.currentNode.data.trim().slice(0, 40) + "”");
  }
  if (checked < 200) low.push("only " + checked + " texts were seen");
  return low;
})()
