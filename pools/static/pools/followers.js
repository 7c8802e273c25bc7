/* <span data-followers-url="..."> says which processes have a revision in force. It is fetched
   until all have, or for a minute while the page is looked at; not at all without JavaScript. */

"use strict";

(() => {
    const EVERY_MS = 700;
    const FIRST_MS = 150; // most processes have it by then
    const MOST = 85;

    const follow = async (element) => {
        for (let turn = 0; turn < MOST; turn += 1) {
            await new Promise((resolve) => setTimeout(resolve, turn ? EVERY_MS : FIRST_MS));
            if (document.visibilityState !== "visible") {
                continue;
            }
            try {
                const response = await fetch(element.dataset.followersUrl, {
                    credentials: "same-origin",
                    redirect: "error",
                });
                if (!response.ok) {
                    return;
                }
                const text = await response.text();
                if (element.innerHTML !== text) {
                    element.innerHTML = text;
                }
                if (response.headers.has("X-Pools-Done")) {
                    return;
                }
            } catch {
                return; // the server is away: what was said last stays
            }
        }
    };

    const begin = () => {
        for (const element of document.querySelectorAll("[data-followers-url]")) {
            element.setAttribute("role", "status");
            follow(element);
        }
    };

    if (document.readyState === "loading") {
        document.addEventListener("DOMContentLoaded", begin);
    } else {
        begin();
    }
})();
