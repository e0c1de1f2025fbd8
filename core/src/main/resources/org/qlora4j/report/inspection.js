// Shows one sheet of examples at a time. Without it all stand below one another.
const sheets = [...document.querySelectorAll(".sheet")];
const nav = document.querySelector("nav");
const [previous, next] = nav.querySelectorAll("button");
const wanted = nav.querySelector("input");
function show(at, focused) {
  sheets.forEach((sheet, i) => { sheet.hidden = i !== at; });
  nav.querySelector("output").textContent = "page " + (at + 1) + " of " + sheets.length;
  previous.disabled = at === 0;
  next.disabled = at === sheets.length - 1;
  previous.onclick = () => show(at - 1, nav);
  next.onclick = () => show(at + 1, nav);
  if (focused) focused.scrollIntoView();
}
wanted.onchange = () => {
  const article = document.getElementById("e" + wanted.value);
  if (article) show(sheets.indexOf(article.parentElement), article);
};
nav.hidden = sheets.length < 2;
show(0);
