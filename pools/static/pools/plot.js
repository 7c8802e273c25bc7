/* Draws <div class="pools-plot" data-plot-url="….json"> with uPlot.

   The answer is {"refresh_s", "charts": [{"title", "unit", "times", "lines": [{"label",
   "values"}]}]}, as pools/admin/plots.py makes it. Times are shown in the reader's own zone.
   Arrow keys move along a chart, whose values are then read out; a table has all of them. */

"use strict";

(() => {
    const HEIGHT = 168;
    const AGAIN_S = 15; // where the figures could not be read
    const DAY_S = 86400;
    const ENGLISH = {
        empty: "No figures yet: they come with requests.",
        failed: "The figures could not be read: trying again.",
        table: "As a table",
        time: "Time",
        now: "now",
        most: "at most",
        keys: "Arrow keys read values.",
    };
    const DASHES = [[], [6, 4], [2, 3]];

    const words = () => ({
        ...ENGLISH,
        ...document.getElementById("pools-plot-words")?.dataset,
    });

    const language = document.documentElement.lang || undefined;
    const clock = (options) => new Intl.DateTimeFormat(language, options);
    const MINUTE = clock({ hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
    const SECOND = clock({
        hour: "2-digit",
        minute: "2-digit",
        second: "2-digit",
        hourCycle: "h23",
    });
    const DATE = clock({ month: "short", day: "numeric" });
    const WHOLE = clock({
        month: "short",
        day: "numeric",
        hour: "2-digit",
        minute: "2-digit",
        hourCycle: "h23",
    });
    const FINE = new Intl.NumberFormat(language, { maximumSignificantDigits: 2 });
    const COARSE = new Intl.NumberFormat(language, { maximumFractionDigits: 0 });
    const MIDDLE = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });

    const number = (value) =>
        (Math.abs(value) < 1 ? FINE : Math.abs(value) < 100 ? MIDDLE : COARSE).format(value);

    const moment = (chart, time) => {
        const long = chart.times.at(-1) - chart.times[0] > DAY_S / 2;
        return (long ? WHOLE : SECOND).format(new Date(time * 1000));
    };

    const told = (chart, value) =>
        value === null || value === undefined
            ? "–"
            : chart.unit.startsWith("/")
              ? `${number(value)}${chart.unit}`
              : `${number(value)} ${chart.unit}`.trim();

    const make = (tag, name, ...children) => {
        const node = document.createElement(tag);
        node.className = name;
        node.append(...children);
        return node;
    };

    /* --- one chart ---------------------------------------------------------------------- */

    class Chart {
        constructor(place, key, sync) {
            this.sync = sync;
            this.key = key;
            this.title = make("span", "pools-plot-title");
            this.legend = make("span", "pools-plot-legend");
            this.canvas = make("div", "pools-plot-canvas");
            this.canvas.tabIndex = 0;
            this.canvas.setAttribute("role", "img");
            this.canvas.addEventListener("keydown", (event) => this.pressed(event));
            this.canvas.addEventListener("blur", () => this.point(null));
            this.spoken = make("span", "pools-hidden");
            this.spoken.setAttribute("role", "status");
            this.table = make("div", "pools-scroll");
            const summary = make("summary", "", words().table);
            this.details = make("details", "pools-plot-table", summary, this.table);
            this.details.addEventListener("toggle", () => this.fillTable());
            const caption = make("figcaption", "", this.title, this.legend);
            place.append(make("figure", "", caption, this.canvas, this.spoken, this.details));
            new ResizeObserver(() => this.resize()).observe(this.canvas);
        }

        show(chart) {
            const same = this.chart?.lines.length === chart.lines.length;
            this.chart = chart;
            const empty = chart.lines.every((line) => line.values.every((one) => one === null));
            this.title.textContent = chart.title;
            this.canvas.setAttribute("aria-label", this.summary(empty));
            this.canvas.dataset.empty = empty ? words().empty : "";
            const data = [chart.times, ...chart.lines.map((line) => line.values)];
            if (this.plot && same) {
                this.plot.setData(data);
            } else {
                this.plot?.destroy();
                this.plot = new uPlot(this.options(chart), data, this.canvas);
            }
            this.write(null);
            this.fillTable();
        }

        /* For who does not see it: what is now, and the most there was. */
        summary(empty) {
            const say = words();
            const parts = this.chart.lines.map((line) => {
                const known = line.values.filter((value) => value !== null);
                const most = known.length ? Math.max(...known) : null;
                const last = told(this.chart, known.at(-1));
                return `${line.label} ${say.now} ${last}, ${say.most} ${told(this.chart, most)}`;
            });
            const what = empty ? say.empty : parts.join("; ");
            return `${this.chart.title}: ${what}. ${say.keys}`;
        }

        options(chart) {
            const style = (name) => () => getComputedStyle(this.canvas).getPropertyValue(name);
            const axis = {
                stroke: style("--pools-plot-text"),
                grid: { stroke: style("--pools-plot-grid"), width: 1 },
                ticks: { show: false },
                font: "11px system-ui, sans-serif",
            };
            return {
                width: this.canvas.clientWidth || 300,
                height: HEIGHT,
                legend: { show: false },
                cursor: {
                    y: false,
                    drag: { setScale: false, x: false, y: false },
                    sync: { key: this.sync },
                    points: { size: 7 },
                },
                scales: { y: { range: (_plot, _least, most) => [0, most > 0 ? most * 1.1 : 1] } },
                axes: [
                    { ...axis, size: 24, space: 64, values: (_plot, times, _axis, _space, step) =>
                        times.map((time) => this.tick(time, step)) },
                    { ...axis, size: 52, space: 34, values: (_plot, values) =>
                        values.map(number) },
                ],
                series: [
                    {},
                    ...chart.lines.map((line, index) => ({
                        label: line.label,
                        stroke: style(`--pools-line-${index + 1}`),
                        width: 1.75,
                        dash: DASHES[index % DASHES.length],
                        points: { size: 4 },
                    })),
                ],
                hooks: { setCursor: [(plot) => this.write(plot.cursor.idx)] },
            };
        }

        tick(time, step) {
            const at = new Date(time * 1000);
            const midnight = at.getHours() === 0 && at.getMinutes() === 0;
            return (step >= DAY_S || midnight ? DATE : MINUTE).format(at);
        }

        /* The legend: values where the pointer or the keys are, else the last ones. */
        write(index) {
            const chart = this.chart;
            const at = index ?? null;
            const parts = chart.lines.map((line, number) => {
                const known = line.values.findLast((value) => value !== null);
                const value = at === null ? known : line.values[at];
                const text = `${line.label} ${told(chart, value)}`;
                const mark = make("span", "pools-plot-mark");
                mark.dataset.line = number + 1;
                return make("span", "", mark, text);
            });
            if (at !== null) {
                parts.unshift(make("span", "", moment(chart, chart.times[at])));
            }
            this.legend.replaceChildren(...parts);
        }

        pressed(event) {
            const last = this.chart.times.length - 1;
            const at = this.at ?? last + 1;
            const to = {
                ArrowLeft: at - 1,
                ArrowRight: at + 1,
                PageUp: at - 10,
                PageDown: at + 10,
                Home: 0,
                End: last,
            }[event.key];
            if (event.key === "Escape") {
                this.point(null);
            } else if (to !== undefined) {
                event.preventDefault();
                this.point(Math.min(Math.max(to, 0), last));
            }
        }

        point(index) {
            this.at = index;
            const left = index === null ? -10 : this.plot.valToPos(this.chart.times[index], "x");
            this.plot.setCursor({ left, top: index === null ? -10 : 0 });
            this.write(index);
            const texts = [...this.legend.children].map((part) => part.textContent);
            this.spoken.textContent = index === null ? "" : texts.join(", ");
        }

        resize() {
            const width = this.canvas.clientWidth;
            if (this.plot && width && width !== this.plot.width) {
                this.plot.setSize({ width, height: HEIGHT });
            }
        }

        redraw() {
            this.plot?.redraw();
        }

        /* Made when it is opened: it has a row for each time, the newest first. */
        fillTable() {
            if (!this.details.open || !this.chart) {
                return;
            }
            const chart = this.chart;
            const heads = [words().time, ...chart.lines.map((line) => line.label)];
            const cells = (tag, texts) => texts.map((text) => make(tag, "", text));
            const head = make("tr", "", ...cells("th", heads));
            for (const cell of head.children) {
                cell.scope = "col";
            }
            const rows = chart.times
                .map((time, index) =>
                    make("tr", "", ...cells("td", [
                        moment(chart, time),
                        ...chart.lines.map((line) => told(chart, line.values[index])),
                    ])))
                .reverse();
            const caption = make("caption", "pools-hidden", chart.title);
            this.table.replaceChildren(
                make("table", "pools-figures", caption, make("thead", "", head),
                    make("tbody", "", ...rows)),
            );
            this.table.tabIndex = 0;
        }
    }

    /* --- one element, with all charts of its address ------------------------------------ */

    class Plot {
        constructor(element, number) {
            this.element = element;
            this.number = number;
            this.charts = [];
            this.offer();
            this.refresh();
            document.addEventListener("visibilitychange", () => this.wait(0));
        }

        /* Buttons before it choose its window. */
        offer() {
            const choices = this.element.previousElementSibling;
            if (!choices?.matches("[data-plot-choices]")) {
                return;
            }
            choices.hidden = false;
            choices.addEventListener("click", (event) => {
                const chosen = event.target.closest("[data-plot-window]");
                if (!chosen) {
                    return;
                }
                for (const button of choices.querySelectorAll("[data-plot-window]")) {
                    button.setAttribute("aria-pressed", String(button === chosen));
                }
                const url = new URL(this.element.dataset.plotUrl, window.location.href);
                url.searchParams.set("window", chosen.dataset.plotWindow);
                this.element.dataset.plotUrl = url.pathname + url.search;
                this.refresh();
            });
        }

        wait(s) {
            clearTimeout(this.timer);
            this.timer = setTimeout(() => this.refresh(), s * 1000);
        }

        async refresh() {
            if (document.visibilityState !== "visible") {
                return; // it goes on when it is seen again
            }
            let againS = AGAIN_S;
            const url = this.element.dataset.plotUrl;
            try {
                const response = await fetch(url, {
                    credentials: "same-origin",
                    headers: { Accept: "application/json" },
                    redirect: "error",
                });
                if (!response.ok) {
                    throw new Error(`status ${response.status}`);
                }
                const answer = await response.json();
                if (url !== this.element.dataset.plotUrl) {
                    return; // another window was chosen meanwhile
                }
                this.show(answer.charts);
                againS = answer.refresh_s;
                this.say("");
            } catch {
                this.say(words().failed);
            }
            this.wait(againS);
        }

        show(charts) {
            if (this.charts.length !== charts.length) {
                this.element.replaceChildren();
                this.charts = charts.map(
                    (_chart, index) => new Chart(this.element, index, `pools-${this.number}`),
                );
            }
            charts.forEach((chart, index) => this.charts[index].show(chart));
        }

        say(text) {
            if (text && !this.problem) {
                this.problem = make("p", "pools-plot-problem");
                this.problem.setAttribute("role", "status");
                this.element.append(this.problem);
            }
            if (this.problem && this.problem.textContent !== text) {
                this.problem.textContent = text;
            }
        }

        redraw() {
            for (const chart of this.charts) {
                chart.redraw();
            }
        }
    }

    const begin = () => {
        const elements = [...document.querySelectorAll(".pools-plot[data-plot-url]")];
        const plots = elements.map((element, index) => new Plot(element, index));
        const redraw = () => plots.forEach((plot) => plot.redraw());
        // Unfold marks the dark theme by a class, Django by an attribute.
        new MutationObserver(redraw).observe(document.documentElement, {
            attributeFilter: ["class", "data-theme"],
        });
        matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
    };

    if (document.readyState === "loading") {
        document.addEventListener("DOMContentLoaded", begin);
    } else {
        begin();
    }
})();
