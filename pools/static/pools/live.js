/* Refreshes parts of a page while one looks at it.

   <div data-live-url="/fragment/"> is fetched each 5 seconds (data-live-every="5"), less often
   where the server takes long. Elements of the answer with data-live-part="name" replace what
   is in their namesakes within the element; where there are none, the answer replaces all that
   is in it. Focus, scroll, open <details>, choices and marked text survive; a part in which
   somebody types is left alone until it is done. "pools:live" is fired on what was replaced. */

"use strict";

(() => {
    const SLOWEST_S = 60;
    const SHARE = 20; // a refresh may take a twentieth of the time
    const ENGLISH = {
        live: "Live",
        paused: "Paused",
        pause: "Pause",
        resume: "Go on",
        away: "The server does not answer since %s: trying again.",
        failed: "The server could not make this page since %s: trying again.",
        out: "You are signed out, or may no longer see this:",
        signIn: "sign in again",
    };

    const words = () => ({
        ...ENGLISH,
        ...document.getElementById("pools-live-words")?.dataset,
    });

    /* --- replacing ---------------------------------------------------------------------- */

    const pathTo = (root, node) => {
        const path = [];
        for (; node !== root; node = node.parentElement) {
            path.unshift([...node.parentElement.children].indexOf(node));
        }
        return path;
    };

    const follow = (root, path) => path.reduce((node, index) => node?.children[index], root);

    /* How an element is found again after its part was made anew: by what it is, or else by
       where it is. */
    const locator = (root, node) => {
        const path = pathTo(root, node);
        const href = node.getAttribute("href");
        return () => {
            const byId = node.id && document.getElementById(node.id);
            if (byId) {
                return byId;
            }
            const links = href ? [...root.querySelectorAll("a[href]")] : [];
            const same = links.find((link) => link.getAttribute("href") === href);
            const there = follow(root, path);
            return same ?? (there?.tagName === node.tagName ? there : null);
        };
    };

    const changed = (control) => {
        if (control.type === "checkbox" || control.type === "radio") {
            return control.checked !== control.defaultChecked;
        }
        if (control.tagName === "SELECT") {
            const first = [...control.options].findIndex((option) => option.defaultSelected);
            return control.selectedIndex !== Math.max(first, 0);
        }
        return control.value !== control.defaultValue;
    };

    const chosen = (root) => [...root.querySelectorAll("input:is([type=checkbox], [type=radio])")];

    const isTypedIn = (root) => {
        const active = document.activeElement;
        if (root.contains(active) && active.matches("input:not([type=checkbox]), select, textarea")) {
            return true;
        }
        const controls = root.querySelectorAll(
            "input:not([type=checkbox], [type=radio], [type=hidden]), select, textarea",
        );
        return [...controls].some(changed);
    };

    const isMarked = (root) => {
        const selection = document.getSelection();
        return Boolean(
            selection && !selection.isCollapsed && root.contains(selection.anchorNode),
        );
    };

    const replace = (root, html) => {
        const active = root.contains(document.activeElement) && document.activeElement;
        const focused = active && active !== root && locator(root, active);
        const scrolled = [...root.querySelectorAll("*")]
            .filter((node) => node.scrollLeft || node.scrollTop)
            .map((node) => [locator(root, node), node.scrollLeft, node.scrollTop]);
        const opened = [...root.querySelectorAll("details")].map((node) => [
            locator(root, node),
            node.open,
        ]);
        const picked = chosen(root)
            .filter(changed)
            .map((node) => [node.name, node.value, node.checked]);
        root.innerHTML = html;
        for (const [find, open] of opened) {
            find()?.toggleAttribute("open", open);
        }
        for (const [name, value, checked] of picked) {
            for (const node of chosen(root)) {
                if (node.name === name && node.value === value) {
                    node.checked = checked;
                }
            }
        }
        for (const [find, left, top] of scrolled) {
            find()?.scrollTo(left, top);
        }
        if (focused) {
            focused()?.focus({ preventScroll: true });
        }
        root.dispatchEvent(new CustomEvent("pools:live", { bubbles: true }));
    };

    /* --- one element -------------------------------------------------------------------- */

    class Live {
        constructor(element) {
            this.element = element;
            this.everyS = Number(element.dataset.liveEvery) || 5;
            this.shown = new Map(); // the HTML of each part, as it came
            this.failures = 0;
            this.paused = false;
            this.timer = 0;
            this.makeState();
            document.addEventListener("visibilitychange", () => this.look());
            this.wait();
        }

        /* What is said of the refresh stands before the element; read out when it changes. */
        makeState() {
            const bar = document.createElement("div");
            bar.className = "pools-live";
            this.said = document.createElement("span");
            this.said.setAttribute("role", "status");
            this.button = document.createElement("button");
            this.button.type = "button";
            this.button.addEventListener("click", () => {
                this.paused = !this.paused;
                this.look();
            });
            bar.append(this.said, this.button);
            this.bar = bar;
            this.element.before(bar);
            this.say();
        }

        say() {
            const told = words();
            const state = this.paused ? "paused" : this.trouble ?? "live";
            this.button.textContent = this.paused ? told.resume : told.pause;
            if (this.bar.dataset.state === state) {
                return;
            }
            this.bar.dataset.state = state;
            this.button.hidden = state === "out";
            this.said.textContent = told[state].replace("%s", this.since ?? "");
            if (state === "out") {
                const link = document.createElement("a");
                link.href = window.location.href;
                link.textContent = told.signIn;
                this.said.append(" ", link);
            }
        }

        look() {
            clearTimeout(this.timer);
            if (!this.paused && document.visibilityState === "visible") {
                this.refresh();
            }
            this.say();
        }

        wait(tookS = 0) {
            clearTimeout(this.timer);
            const backOff = this.everyS * 2 ** Math.min(this.failures, 8);
            const least = Math.max(this.everyS, SHARE * tookS);
            const s = Math.min(Math.max(backOff, least), SLOWEST_S);
            this.timer = setTimeout(() => this.look(), s * 1000);
        }

        async refresh() {
            if (this.busy || this.trouble === "out") {
                return;
            }
            this.busy = true;
            const begun = performance.now();
            const trouble = await this.fetched();
            this.busy = false;
            if (trouble && trouble !== "out" && !this.failures) {
                this.since = new Date().toLocaleTimeString(document.documentElement.lang || [], {
                    hourCycle: "h23",
                });
            }
            this.failures = trouble ? this.failures + 1 : 0;
            this.trouble = trouble;
            this.say();
            if (trouble !== "out") {
                this.wait((performance.now() - begun) / 1000);
            }
        }

        /* What is wrong, or undefined. */
        async fetched() {
            try {
                const response = await fetch(this.element.dataset.liveUrl, {
                    credentials: "same-origin",
                    headers: { "X-Requested-With": "XMLHttpRequest" },
                    redirect: "manual", // to the page where one signs in
                    signal: AbortSignal.timeout(SLOWEST_S * 1000),
                });
                if (response.type === "opaqueredirect" || [401, 403].includes(response.status)) {
                    return "out";
                }
                if (!response.ok) {
                    return "failed";
                }
                const html = await response.text();
                if (!this.paused) {
                    this.take(html);
                }
            } catch {
                return "away";
            }
            return undefined;
        }

        take(html) {
            const template = document.createElement("template");
            template.innerHTML = html;
            const parts = [...template.content.querySelectorAll("[data-live-part]")];
            if (!parts.length) {
                this.put("", this.element, html);
            }
            for (const part of parts) {
                const name = part.dataset.livePart;
                const own = [...this.element.querySelectorAll("[data-live-part]")];
                const target = own.find((node) => node.dataset.livePart === name);
                if (target) {
                    this.put(name, target, part.innerHTML);
                }
            }
        }

        put(name, target, html) {
            if (this.shown.get(name) === html || isTypedIn(target) || isMarked(target)) {
                return;
            }
            replace(target, html);
            this.shown.set(name, html);
        }
    }

    const begin = () => {
        for (const element of document.querySelectorAll("[data-live-url]")) {
            element.poolsLive ??= new Live(element);
        }
    };

    if (document.readyState === "loading") {
        document.addEventListener("DOMContentLoaded", begin);
    } else {
        begin();
    }
})();
