// What the theme leaves to the mouse: by the keyboard too, and with names to read aloud.
(() => {
    const PRESSED =
        '[x-on\\:click]:not(a[href], button, input, label, #changelist-filter-close)';

    function prepare() {
        for (const element of document.querySelectorAll(PRESSED)) {
            element.tabIndex = 0;
            element.setAttribute('role', 'button');
        }
        for (const icon of document.querySelectorAll('.material-symbols-outlined')) {
            if (!icon.matches(PRESSED)) icon.setAttribute('aria-hidden', 'true');
        }
        // Beside a choice of a row is a menu of what can be done with that row.
        for (const menu of document.querySelectorAll('[x-ref^="relatedWidgetWrapper"]')) {
            const choice = menu.closest('.related-widget-wrapper')?.querySelector('select');
            menu.setAttribute('aria-haspopup', 'true');
            menu.setAttribute('aria-label', choice?.labels[0]?.textContent.trim() ?? '…');
        }
        const search = document.getElementById('searchbar');
        for (const part of [search, document.getElementById('searchbar-submit')]) {
            part?.setAttribute('aria-label', search.placeholder);
        }
    }

    document.addEventListener('DOMContentLoaded', prepare);

    document.addEventListener('keydown', (event) => {
        if ((event.key === 'Enter' || event.key === ' ') && event.target.matches(PRESSED)) {
            event.preventDefault();
            event.target.click();
        }
    });
})();
