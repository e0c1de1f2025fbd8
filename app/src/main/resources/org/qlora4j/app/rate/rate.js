// The rating page: shows a comparison, sends a verdict, shows the next. Nothing is remembered here; the server knows
// what was rated, so a reload or another tab goes on where the rater was.
'use strict';

const token = location.hash.slice(1);
const byId = id => document.getElementById(id);
const verdicts = [...document.querySelectorAll('button[data-verdict]')];
let item = null;
let busy = false;

async function ask(path, body) {
  const options = { headers: { Authorization: 'Bearer ' + token }, cache: 'no-store' };
  if (body) {
    options.method = 'POST';
    options.headers['Content-Type'] = 'application/json';
    options.body = JSON.stringify(body);
  }
  const response = await fetch(path, options);
  const json = await response.json();
  if (!response.ok) {
    throw new Error(json.error);
  }
  return json;
}

// Runs one request at a time; what failed is said, and the page stays as it was.
async function step(work) {
  if (busy) {
    return;
  }
  busy = true;
  verdicts.forEach(b => { b.disabled = true; });
  try {
    show(await work());
  } catch (e) {
    say(e instanceof TypeError ? 'The page cannot reach its server. Your last choice was not kept; try again.' : e.message, true);
  }
  busy = false;
  verdicts.forEach(b => { b.disabled = false; });
}

function say(text, bad) {
  byId('message').textContent = text;
  byId('message').classList.toggle('bad', Boolean(bad));
  byId('message').hidden = !text;
}

function show(state) {
  item = state.item;
  byId('progress').textContent = `${state.done} of ${state.all}`;
  byId('bar').max = Math.max(1, state.all);
  byId('bar').value = state.done;
  byId('work').hidden = !item;
  byId('choose').hidden = false;
  document.querySelector('.buttons').hidden = !item;
  byId('back').disabled = state.done === 0;
  say(item ? '' : 'All done. Thank you! You may go back and change a rating, or close the page.');
  byId('comment').hidden = !item;
  document.querySelector('label').hidden = !item;
  byId('comment').value = item ? item.comment : '';
  if (!item) {
    return;
  }
  byId('question').textContent = item.question;
  byId('one').textContent = item.one || '(no text)';
  byId('two').textContent = item.two || '(no text)';
  verdicts.forEach(b => b.classList.toggle('chosen', Number(b.dataset.verdict) === item.verdict));
  document.querySelectorAll('article').forEach((a, i) => a.classList.toggle('chosen', item.verdict === i + 1));
  window.scrollTo(0, 0);
}

function rate(verdict) {
  if (item) {
    const body = { item: item.id, verdict, comment: byId('comment').value };
    step(() => ask('/api/rate', body));
  }
}

function back() {
  step(() => ask('/api/before', { item: item ? item.id : '' }));
}

verdicts.forEach(b => b.addEventListener('click', () => rate(Number(b.dataset.verdict))));
byId('back').addEventListener('click', back);
document.addEventListener('keydown', e => {
  const typing = e.target === byId('comment');
  if (e.ctrlKey || e.metaKey || e.altKey || e.repeat) {
    return;
  }
  if (typing) {
    if (e.key === 'Escape' || e.key === 'Enter') {
      byId('comment').blur();
      e.preventDefault();
    }
  } else if (['1', '2', '3'].includes(e.key)) {
    rate(Number(e.key));
    e.preventDefault();
  } else if (e.key === 'b' || e.key === 'B') {
    back();
    e.preventDefault();
  }
});
step(() => ask('/api/next'));
