'use strict';
const $ = id => document.getElementById(id);
const NONE = '';
let key = sessionStorage.getItem('qlora-key') || '';
let sides = [];        // of the conversation: {model, messages}
let underWay = null;   // AbortController of the answers that come
let shownRun = null;
let dataset = null;    // the file that was sent: {id, name, bytes}
let refreshFailed = false;
let advice = [];       // settings with which the run fits
let looks = 0;         // a later look makes an earlier one void

/** Fetches with the key; a failure is thrown as the server words it. */
async function api(path, options = {}) {
  const headers = {...options.headers, ...(key ? {Authorization: 'Bearer ' + key} : {})};
  const response = await fetch(path, {...options, headers});
  if (response.ok) return response;
  if (response.status === 401) $('key-form').hidden = false;
  const body = await response.json().catch(() => null);
  throw new Error(body && body.error ? body.error.message : `the server answers ${response.status}`);
}

function tell(problem) {
  $('problem').textContent = problem || '';
  $('problem').hidden = !problem;
}

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

async function loadModels() {
  const models = (await (await api('v1/models')).json()).data.map(model => model.id);
  $('title').textContent = models[0];
  document.title = models[0];
  for (const [select, first] of [[$('left'), null], [$('right'), 'nobody']]) {
    const chosen = select.value;
    select.replaceChildren(...(first ? [new Option(first, NONE)] : []), ...models.map(name => new Option(name, name)));
    if (models.includes(chosen)) select.value = chosen;
  }
  if (models.length > 1 && !$('right').value) $('right').value = models[1];
  $('key-form').hidden = true;
  tell('');
}

/** The body of a request of one side. */
function request(model, messages) {
  const system = $('system').value.trim();
  const body = {model, messages: [...(system ? [{role: 'system', content: system}] : []), ...messages]};
  for (const name of ['temperature', 'top_p', 'max_tokens', 'seed']) {
    if ($(name).value !== '') body[name] = Number($(name).value);
  }
  return body;
}

/** Calls back with each event of a stream. */
async function stream(body, signal, onEvent) {
  const response = await api('v1/chat/completions', {
    method: 'POST', signal, headers: {'Content-Type': 'application/json'}, body: JSON.stringify({...body, stream: true}),
  });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = '';
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    held += value;
    for (let end; (end = held.indexOf('\n\n')) >= 0; held = held.slice(end + 2)) {
      const data = held.slice(0, end).replace(/^data: /, '');
      if (data === '[DONE]') return;
      onEvent(JSON.parse(data));
    }
  }
}

/** Lets one side answer into its place. */
async function answer(side, place, signal) {
  const text = place.querySelector('p'), note = place.querySelector('small');
  const start = performance.now();
  let tokens = 0, reason = null;
  try {
    await stream(request(side.model, side.messages), signal, event => {
      if (event.error) throw new Error(event.error.message);
      const choice = event.choices[0];
      if (!choice) return;
      if (choice.delta.content) { text.textContent += choice.delta.content; tokens++; }
      reason = choice.finish_reason || reason;
    });
  } catch (error) {
    reason = error.name === 'AbortError' ? 'stopped' : 'failed';
    if (reason === 'failed') tell(error.message);
  }
  side.messages.push({role: 'assistant', content: text.textContent});
  const seconds = (performance.now() - start) / 1000;
  note.textContent = `${reason || 'cut off'}, ${seconds.toFixed(1)} s, ${(tokens / seconds).toFixed(0)} pieces/s`;
}

function chosen() {
  return [$('left').value, $('right').value].filter(name => name !== NONE);
}

async function send() {
  const message = $('message').value.trim();
  if (!message || underWay) return;
  tell('');
  const models = chosen();
  sides = models.map((model, i) => ({model, messages: sides[i] ? [...sides[i].messages] : sides[0] ? [...sides[0].messages] : []}));
  const turn = element('div', undefined, 'turn');
  turn.append(element('div', message, 'user'));
  const answers = element('div', undefined, 'answers');
  turn.append(answers);
  $('talk').append(turn);
  underWay = new AbortController();
  $('stop').disabled = false;
  $('send').disabled = true;
  $('message').value = '';
  const waits = sides.map(side => {
    side.messages.push({role: 'user', content: message});
    const place = element('div', undefined, 'answer');
    place.append(element('b', side.model), element('p'), element('small', '...'));
    answers.append(place);
    return answer(side, place, underWay.signal);
  });
  turn.scrollIntoView({block: 'nearest'});
  await Promise.all(waits);
  underWay = null;
  $('stop').disabled = true;
  $('send').disabled = false;
  $('message').focus();
}

function stop() {
  if (underWay) underWay.abort();
}

function reset() {
  stop();
  sides = [];
  $('talk').replaceChildren();
  $('command').hidden = true;
  tell('');
  $('message').focus();
}

/** What the next message, or the last one, would be asked with. */
async function copyAsCurl() {
  const model = $('left').value;
  const message = $('message').value.trim();
  let messages = sides[0] ? sides[0].messages : [];
  if (message) messages = [...messages, {role: 'user', content: message}];
  else if (messages.length) messages = messages.slice(0, -1);
  else messages = [{role: 'user', content: 'Hello'}];
  const json = JSON.stringify(request(model, messages)).replaceAll("'", "'\\''");
  const bearer = key ? " -H 'Authorization: Bearer KEY'" : '';
  const command = `curl ${location.origin}/v1/chat/completions -H 'Content-Type: application/json'${bearer} -d '${json}'`;
  $('command').textContent = command;
  $('command').hidden = false;
  try { await navigator.clipboard.writeText(command); } catch { $('command').focus(); } // it can be selected
}

function show(view) {
  for (const name of ['chat', 'runs', 'train']) {
    $(name).hidden = name !== view;
    $('show-' + name).setAttribute('aria-pressed', String(name === view));
  }
  if (view !== 'chat') refreshRuns();
}

function short(value, digits) {
  if (value === undefined || value === null) return '';
  return value !== 0 && Math.abs(value) < 1e-3 ? Number(value).toExponential(digits - 1) : String(Number(Number(value).toPrecision(digits)));
}

async function refreshRuns() {
  if (!$('chat').hidden) return;
  try {
    const {data: runs, allows_training: allowed} = await (await api('v1/runs')).json();
    $('no-training').hidden = allowed;
    $('train-form').hidden = !allowed;
    if ($('runs').hidden) return;
    $('no-runs').textContent = allowed ? 'There are no runs yet.' : $('no-runs').textContent;
    $('no-runs').hidden = runs.length > 0;
    $('run-table').hidden = runs.length === 0;
    const focused = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.run : null;
    $('run-table').tBodies[0].replaceChildren(...runs.map(run => {
      const row = element('tr');
      const open = element('button', run.name);
      open.type = 'button';
      open.dataset.run = run.name;
      open.addEventListener('click', () => { shownRun = run.name; refreshRuns(); });
      const name = element('td');
      name.append(open);
      const last = run.last || {};
      if (run.progress) name.append(' ', element('small', run.progress.state));
      row.append(name, element('td', last.step ?? '', 'number'), element('td', short(last.loss, 4), 'number'),
        element('td', short(last.learning_rate, 3), 'number'), element('td', short(last.tokens_per_second, 3), 'number'),
        element('td', run.changed ? new Date(run.changed * 1000).toLocaleString() : ''));
      return row;
    }));
    if (focused) {
      const again = [...document.querySelectorAll('[data-run]')].find(button => button.dataset.run === focused);
      if (again) again.focus();
    }
    if (shownRun) await showRun(shownRun);
    if (refreshFailed) tell('');
    refreshFailed = false;
  } catch (error) {
    refreshFailed = true;
    tell(error.message);
  }
}

async function showRun(name) {
  const run = await (await api('v1/runs/' + encodeURIComponent(name))).json();
  $('run').hidden = false;
  $('run-name').textContent = name;
  const progress = run.progress;
  const underWay = Boolean(progress && ['starting', 'training', 'stopping'].includes(progress.state));
  const state = $('run-state');
  state.replaceChildren();
  if (progress) {
    const metrics = run.metrics.at(-1);
    progress.step = Math.max(progress.step, metrics ? metrics.step : 0); // the last is told only there
    const left = progress.seconds_left === null ? '' : `, ${duration(progress.seconds_left)} left`;
    const step = progress.total_steps ? `: step ${progress.step} of ${progress.total_steps}${left}` : '';
    state.append(`${progress.state}${step}, on ${progress.data}`);
    if (underWay) {
      const bar = element('progress');
      if (progress.total_steps) { bar.max = progress.total_steps; bar.value = progress.step; }
      bar.setAttribute('aria-label', 'Steps');
      state.append(bar);
    }
    if (progress.problem) state.append(element('div', progress.problem, 'bad'));
    if (progress.state === 'stopped' && !run.adapter && !progress.problem) state.append(element('div', 'It had saved nothing yet.', 'bad'));
  }
  $('run-stop').hidden = !underWay;
  $('run-stop').disabled = progress && progress.state === 'stopping';
  const loads = Boolean(run.adapter) && !underWay;
  $('run-load').hidden = $('run-as').hidden = !loads;
  if ($('run-load').dataset.run !== name) $('adapter-name').value = name;
  $('run-load').dataset.run = name;
  $('run-load').dataset.path = run.adapter || '';
  const steps = run.metrics.filter(line => line.loss !== undefined);
  const held = run.metrics.filter(line => line.eval_loss !== undefined);
  $('charts').replaceChildren(
    chart('loss', [['', steps.map(line => [line.step, line.loss])], ['held', held.map(line => [line.step, line.eval_loss])]]),
    chart('learning rate', [['', steps.map(line => [line.step, line.learning_rate])]]));
  $('samples').previousElementSibling.hidden = !run.samples.length;
  $('samples').replaceChildren(...run.samples.slice(-20).reverse().map(sample => {
    const entry = element('div');
    entry.append(element('small', `step ${sample.step}: ${sample.prompt}`), element('br'), document.createTextNode(sample.answer ?? ''));
    return entry;
  }));
}

/** Lines over steps: [class, [[x, y], ...]]. */
function chart(title, lines) {
  const width = 480, height = 200, left = 52, bottom = 24, top = 34;
  const all = lines.flatMap(line => line[1]).filter(point => Number.isFinite(point[1]));
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  svg.setAttribute('role', 'img');
  const make = (name, attributes, text) => {
    const made = document.createElementNS(svg.namespaceURI, name);
    for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
    if (text !== undefined) made.textContent = text;
    svg.append(made);
  };
  if (!all.length) { make('text', {x: 4, y: 16}, title + ': nothing yet'); return svg; }
  const xs = all.map(point => point[0]), ys = all.map(point => point[1]);
  const [x0, x1] = [Math.min(...xs), Math.max(...xs)];
  const [y0, y1] = [Math.min(0, ...ys), Math.max(...ys) || 1];
  const x = value => left + (width - left - 8) * (x1 > x0 ? (value - x0) / (x1 - x0) : 0.5);
  const y = value => height - bottom - (height - bottom - top) * (value - y0) / (y1 - y0);
  svg.setAttribute('aria-label', `${title}: ${short(ys[0], 4)} at step ${x0}, ${short(ys[ys.length - 1], 4)} at step ${x1}`);
  make('text', {x: 4, y: 16}, lines[1] && lines[1][1].length ? title + ' (held out: second line)' : title);
  for (const value of [y0, (y0 + y1) / 2, y1]) {
    make('line', {x1: left, x2: width - 8, y1: y(value), y2: y(value)});
    make('text', {x: 4, y: y(value) + 4}, Number(value.toPrecision(3)));
  }
  make('text', {x: left, y: height - 6}, x0);
  make('text', {x: width - 8, y: height - 6, 'text-anchor': 'end'}, 'step ' + x1);
  for (const [className, points] of lines) {
    if (points.length) make('path', {class: className, d: points.map((p, i) => `${i ? 'L' : 'M'}${x(p[0]).toFixed(1)} ${y(p[1]).toFixed(1)}`).join('')});
  }
  return svg;
}

function duration(seconds) {
  const parts = [[3600, 'h'], [60, 'min'], [1, 's']].find(part => seconds >= part[0]) || [1, 's'];
  return `${Math.ceil(seconds / parts[0])} ${parts[1]}`;
}

function post(path, body) {
  return api(path, {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify(body)});
}

/** Settings of the run to start, of fields and of the lines key=value. */
function runSettings() {
  const settings = {};
  for (const field of document.querySelectorAll('[data-key]')) {
    if (field.value !== '') settings[field.dataset.key] = field.type === 'number' ? Number(field.value) : field.value;
  }
  for (const line of $('more').value.split('\n').map(each => each.trim()).filter(Boolean)) {
    const equals = line.indexOf('=');
    if (equals < 1) throw new Error(`"${line}" is no setting; write key=value`);
    settings[line.slice(0, equals).trim()] = line.slice(equals + 1).trim();
  }
  return settings;
}

/** Sends the chosen file, which takes the place of the one before. */
async function sendFile() {
  const file = $('file').files[0];
  const before = dataset;
  dataset = null;
  $('plan').hidden = true;
  $('begin').disabled = true;
  if (before) api('v1/datasets/' + encodeURIComponent(before.id), {method: 'DELETE'}).catch(() => {}); // a run may have it
  if (!file) return;
  tell('');
  const look = ++looks;
  $('looking').textContent = `sending ${file.name} ...`;
  try {
    const response = await api('v1/datasets?name=' + encodeURIComponent(file.name),
      {method: 'POST', headers: {'Content-Type': 'application/octet-stream'}, body: file});
    const sent = await response.json();
    if (look !== looks) return;
    dataset = sent;
    if (!$('run-title').value) $('run-title').value = file.name.replace(/\..*/, '').replace(/[^A-Za-z0-9_-]+/g, '-').replace(/^-+/, '').slice(0, 40) || 'run';
    await lookAtPlan();
  } catch (error) { tell(error.message); } finally { if (look === looks) $('looking').textContent = ''; }
}

/** Asks what a run would learn and take. */
async function lookAtPlan() {
  if (!dataset) return;
  const look = ++looks;
  $('begin').disabled = true;
  $('looking').textContent = `looking at ${dataset.name} ...`;
  try {
    const plan = await (await post('v1/plans', {dataset: dataset.id, settings: runSettings()})).json();
    if (look !== looks) return;
    showPlan(plan);
    tell('');
  } catch (error) {
    if (look !== looks) return;
    $('plan').hidden = true;
    tell(error.message);
  }
  $('looking').textContent = '';
}

function showPlan(plan) {
  const refused = plan.findings.some(finding => finding.refused);
  $('plan').hidden = false;
  $('begin').disabled = refused || !plan.memory.fits;
  const time = plan.seconds === null ? 'how long it takes is known after its first steps' : `about ${duration(plan.seconds)} at the speed of the last run`;
  const passes = plan.epochs.toLocaleString('en', {maximumFractionDigits: 1});
  $('outlook').replaceChildren(
    element('li', `${plan.steps.toLocaleString('en')} steps, ${passes} ${passes === '1' ? 'pass' : 'passes'} over the examples; ${time}`),
    element('li', plan.memory.line, plan.memory.fits ? '' : 'bad'));
  advice = plan.memory.fits ? [] : plan.memory.advice;
  $('advise').hidden = !advice.length;
  $('findings').replaceChildren(...plan.findings.map(finding =>
    element('li', (finding.refused ? 'A run refuses this: ' : '') + finding.text, finding.refused ? 'bad' : '')));
  if (!plan.findings.length) $('findings').append(element('li', 'nothing to look into'));
  $('facts').tBodies[0].replaceChildren(...Object.entries(plan.facts).map(([name, fact]) => {
    const row = element('tr'), head = element('th', name);
    head.scope = 'row';
    row.append(head, element('td', fact));
    return row;
  }));
  $('examples').replaceChildren(...plan.examples.map(example => {
    const entry = element('div', undefined, 'example'), text = element('p');
    text.tabIndex = 0;
    text.append(...example.text.map(part => part.learnt ? element('mark', part.text, 'learnt') : part.text));
    entry.append(element('small', `${example.at}: ${example.tokens} tokens, ${example.learnt} learnt${example.why ? '; ' + example.why : ''}`), text);
    return entry;
  }));
}

function takeAdvice() {
  for (const word of advice) {
    const [key, value] = word.split('=');
    const field = document.querySelector(`[data-key="${key}"]`);
    if (field) field.value = value;
    else $('more').value = [...$('more').value.split('\n').filter(line => line && !line.startsWith(key + '=')), word].join('\n');
  }
  lookAtPlan();
}

async function startRun() {
  if (!dataset || $('begin').disabled) return;
  $('begin').disabled = true;
  $('looking').textContent = 'starting ...';
  try {
    const name = $('run-title').value.trim();
    await post('v1/runs', {name, dataset: dataset.id, settings: runSettings()});
    shownRun = name;
    $('run').hidden = true; // that of another
    tell('');
    show('runs');
  } catch (error) { tell(error.message); }
  $('begin').disabled = false;
  $('looking').textContent = '';
}

async function stopRun() {
  $('run-stop').disabled = true;
  try {
    await post(`v1/runs/${encodeURIComponent(shownRun)}/stop`, {});
    tell('');
  } catch (error) { tell(error.message); }
  refreshRuns();
}

/** Puts the adapter of a run beside the base. */
async function loadRun() {
  const name = $('adapter-name').value.trim();
  $('run-load').disabled = true;
  try {
    await post('v1/adapters', {name, path: $('run-load').dataset.path});
    await loadModels();
    $('right').value = name;
    $('left').selectedIndex = 0;
    reset();
    show('chat');
    $('message').focus();
  } catch (error) { tell(error.message); }
  $('run-load').disabled = false;
}

async function refreshState() {
  try {
    const state = await (await fetch('health')).json();
    $('state').textContent = `${state.status}: ${state.running} answers under way, ${state.waiting} wait`;
  } catch { $('state').textContent = 'the server does not answer'; }
}

$('ask').addEventListener('submit', event => { event.preventDefault(); send(); });
$('settings').addEventListener('submit', event => event.preventDefault());
$('message').addEventListener('keydown', event => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) { event.preventDefault(); send(); }
});
document.addEventListener('keydown', event => { if (event.key === 'Escape') stop(); });
$('stop').addEventListener('click', stop);
$('reset').addEventListener('click', reset);
$('curl').addEventListener('click', copyAsCurl);
$('show-chat').addEventListener('click', () => show('chat'));
$('show-runs').addEventListener('click', () => show('runs'));
$('show-train').addEventListener('click', () => show('train'));
$('file').addEventListener('change', sendFile);
$('train-form').addEventListener('change', event => { if (event.target.id !== 'file' && event.target.id !== 'run-title') lookAtPlan(); });
$('train-form').addEventListener('submit', event => { event.preventDefault(); startRun(); });
$('advise').addEventListener('click', takeAdvice);
$('run-stop').addEventListener('click', stopRun);
$('run-load').addEventListener('click', loadRun);
$('key-form').addEventListener('submit', event => {
  event.preventDefault();
  key = $('key').value.trim();
  sessionStorage.setItem('qlora-key', key);
  loadModels().catch(error => tell(error.message));
});
loadModels().catch(error => tell(error.message));
setInterval(refreshRuns, 3000);
setInterval(refreshState, 3000);
refreshState();
