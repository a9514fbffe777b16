// What axe-core has to complain about on a page.
//
// rules: names of the only rules to run; none means all of them.
// left_out: selectors of parts that are taken out of the page before.
// seen: kinds of texts, as numbers, whose contrast was looked at on other pages.
// Result: the kinds that this page adds, and for each complaint its rule, its sentence and examples.
async ([rules, left_out, seen_kinds]) => {
    for (const part of left_out) document.querySelectorAll(part).forEach(element => element.remove());
    const found = mark_new_kinds(new Set(seen_kinds));
    axe.configure({rules: [{id: 'color-contrast', selector: '[data-new-kind]'}]});
    const only = rules.length ? {runOnly: {type: 'rule', values: rules}} : {};
    const result = await axe.run({resultTypes: ['violations'], ...only});
    const told = node => node.html.slice(0, 160) + ' :: ' + node.failureSummary.slice(0, 300);
    return [found, result.violations.map(v => [v.id, v.help, v.nodes.slice(0, 3).map(told)])];

    // Marks elements with `data-new-kind` whose contrast axe-core shall look at, and returns their kinds.
    //
    // To compare a text with what lies behind it takes axe-core longer than all its other rules, and most
    // texts of a page look like others: rows of a table, the navigation that every page has. Two texts are
    // of one kind if all that can change their contrast is the same, in them and in everything around
    // them: names, classes, colours, backgrounds, opacity; and the size and weight of the letters.
    function mark_new_kinds(seen) {
        const hash = text => {
            let sum = 5381;
            for (let i = 0; i < text.length; i++) sum = (sum * 33 + text.charCodeAt(i)) | 0;
            return sum;
        };
        const around = new Map();  // element -> hash of what it and all around it look like
        const look = element => {
            if (!element) return document.documentElement.className;
            if (!around.has(element)) {
                const style = getComputedStyle(element);
                around.set(element, hash([look(element.parentElement), element.localName,
                    element.getAttribute('class'), style.color, style.backgroundColor,
                    style.backgroundImage, style.opacity, style.position, style.zIndex, style.filter,
                    style.mixBlendMode, style.textShadow, style.visibility, style.display].join()));
            }
            return around.get(element);
        };
        const found = [];
        for (const element of document.body.querySelectorAll('*')) {
            element.removeAttribute('data-new-kind');
            const has_text = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
            if (!has_text && !element.matches('input, select, textarea')) continue;
            const {fontSize, fontWeight} = getComputedStyle(element);
            const kind = hash([look(element), fontSize, fontWeight, innerWidth].join());
            if (seen.has(kind)) continue;
            seen.add(kind);
            found.push(kind);
            element.setAttribute('data-new-kind', '');
        }
        return found;
    }
}
