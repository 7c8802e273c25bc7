/* Puts what live.js brings into the cells of the list, one by one: nothing that is ticked,
   focused or scrolled is touched. */
"use strict";
document.addEventListener("DOMContentLoaded", () => {
    const list = document.getElementById("result_list");
    const source = document.querySelector("[data-live-cells]");
    if (!list || !source) return;

    const cells = new Map();
    for (const cell of list.querySelectorAll("[data-live-cell]")) {
        cells.set(cell.dataset.liveCell, cell);
    }

    new MutationObserver(() => {
        for (const fresh of source.querySelectorAll("[data-live-cell]")) {
            const shown = cells.get(fresh.dataset.liveCell);
            if (!shown || shown.innerHTML === fresh.innerHTML) continue;
            if (shown.contains(document.activeElement)) continue;
            shown.innerHTML = fresh.innerHTML;
        }
    }).observe(source, { childList: true, subtree: true });
});
