// A button that copies the text of the element that data-copy names; hidden without a script.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
    for (const button of document.querySelectorAll("button[data-copy]")) {
        if (!navigator.clipboard) continue;
        button.hidden = false;
        button.addEventListener("click", async () => {
            const text = document.getElementById(button.dataset.copy).textContent;
            await navigator.clipboard.writeText(text);
            button.textContent = button.dataset.copied;
        });
    }
});
