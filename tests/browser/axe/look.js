// What axe-core has to complain about on a page.
//
// rules: names of the only rules to run, of those that look at colours and sizes; none means all rules.
// left_out: selectors of parts that are taken out of the page before.
// seen: kinds of texts, as numbers, whose contrast was looked at on other pages.
// Result: the kinds that this page adds, and for each complaint its rule, its sentence and examples.
async ([rules, left_out, seen_kinds]) => {
    for (const part of left_out) document.querySelectorAll(part).forEach(element => element.remove());
    finish_transitions();
    const found = mark_doubtful_texts(new Set(seen_kinds));
    mark_doubtful_links();
    // To start axe-core takes longer than to see that it has nothing to look at.
    if (rules.length && !document.querySelector('[data-dim], [data-plain]') && !scrolls_without_focus()) return [found, []];
    axe.configure({rules: [
        {id: 'color-contrast', selector: '[data-dim]'},
        {id: 'link-in-text-block', selector: '[data-plain]'},
    ]});
    const only = rules.length ? {runOnly: {type: 'rule', values: rules}} : {};
    const result = await axe.run({resultTypes: ['violations'], preload: false, ...only});
    const told = node => node.html.slice(0, 160) + ' :: ' + node.failureSummary.slice(0, 300);
    return [found, result.violations.map(v => [v.id, v.help, v.nodes.slice(0, 3).map(told)])];

    // Marks elements with `data-dim` whose contrast axe-core shall look at, and returns the new kinds.
    //
    // To compare a text with what lies behind it takes axe-core longer than all its other rules, and most
    // texts of a page look like others: rows of a table, the navigation that every page has. Two texts are
    // of one kind if all that can change their contrast is the same, in them and in everything around
    // them: names, classes, colours, backgrounds, opacity; and the size and weight of the letters.
    function mark_doubtful_texts(seen) {
        const hash = text => {
            let sum = 5381;
            for (let i = 0; i < text.length; i++) sum = (sum * 33 + text.charCodeAt(i)) | 0;
            return sum;
        };
        const NAMES = /(^|\s)(app|model|field|column)-\S+/g;
        const around = new Map();  // element -> hash of what it and all around it look like
        const look = element => {
            if (!element) return document.documentElement.className;
            if (!around.has(element)) {
                const style = getComputedStyle(element);
                around.set(element, hash([look(element.parentElement), element.localName,
                    (element.getAttribute('class') || '').replace(NAMES, ''), style.color, style.backgroundColor,
                    style.backgroundImage, style.opacity, style.position, style.zIndex, style.filter,
                    style.mixBlendMode, style.textShadow, style.visibility, style.display].join()));
            }
            return around.get(element);
        };
        const is_clear = contrast_meter();
        const found = [];
        for (const element of document.body.querySelectorAll('*')) {
            element.removeAttribute('data-dim');
            if (!has_text(element) && !element.matches('input, select, textarea')) continue;
            const {fontSize, fontWeight} = getComputedStyle(element);
            const kind = hash([look(element), fontSize, fontWeight, innerWidth].join());
            if (seen.has(kind)) continue;
            seen.add(kind);
            found.push(kind);
            if (!is_clear(element)) element.setAttribute('data-dim', '');
        }
        return found;
    }

    // Returns a function that is true for texts which are easy to read beyond doubt.
    //
    // A text lies on the backgrounds of the elements around it. Where one of them is moved, floats, has a
    // picture or lets something through, or where a layer of the page crosses the text, axe-core has to find
    // out what is seen there. For all others there is the formula of WCAG 2.2, "contrast ratio": 4.5 is
    // enough for letters of any size.
    function contrast_meter() {
        const CLEAR = 4.6;  // colours are rounded to bytes
        const painted = new Map();  // colour as CSS has it -> [red, green, blue, alpha], each from 0 to 1
        const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
        const paint = colour => {
            if (!painted.has(colour)) {
                canvas.clearRect(0, 0, 1, 1);
                canvas.fillStyle = colour;
                canvas.fillRect(0, 0, 1, 1);
                painted.set(colour, [...canvas.getImageData(0, 0, 1, 1).data].map(byte => byte / 255));
            }
            return painted.get(colour);
        };
        const over = (front, back) => {
            const alpha = front[3] + back[3] * (1 - front[3]);
            const mixed = i => alpha && (front[i] * front[3] + back[i] * back[3] * (1 - front[3])) / alpha;
            return [mixed(0), mixed(1), mixed(2), alpha];
        };
        const luminance = colour => {
            const [red, green, blue] = colour.map(part =>
                part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
            return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
        };
        const layers = [...document.body.querySelectorAll('*')].filter(element => {
            const {position, backgroundColor, backgroundImage} = getComputedStyle(element);
            return /absolute|fixed|sticky/.test(position)
                && (backgroundImage !== 'none' || paint(backgroundColor)[3]) && element.checkVisibility();
        });
        const meet = (one, other) => one.left < other.right && other.left < one.right
            && one.top < other.bottom && other.top < one.bottom;
        const boxes = layers.map(layer => layer.getBoundingClientRect());
        const meets_a_layer = element => {
            const box = element.getBoundingClientRect();
            return layers.some((layer, i) => !layer.contains(element) && meet(box, boxes[i]));
        };
        return element => {
            if (element.closest('svg') || meets_a_layer(element)) return false;
            let behind = [0, 0, 0, 0];
            for (let each = element; each; each = each.parentElement) {
                const style = getComputedStyle(each);
                if (style.opacity !== '1' || style.filter !== 'none' || style.mixBlendMode !== 'normal') return false;
                if (behind[3] === 1) continue;
                if (style.backgroundImage !== 'none' || style.textShadow !== 'none') return false;
                behind = over(behind, paint(style.backgroundColor));
                if (behind[3] !== 1 && is_moved(style)) return false;
            }
            if (behind[3] !== 1) return false;
            const text = over(paint(getComputedStyle(element).color), behind);
            const [dark, light] = [luminance(text), luminance(behind)].sort((a, b) => a - b);
            return (light + 0.05) / (dark + 0.05) >= CLEAR;
        };
    }

    function is_moved(style) {
        if (style.position === 'relative')
            return [style.top, style.left, style.bottom, style.right].some(side => parseFloat(side));
        return style.position !== 'static' || style.float !== 'none' || style.transform !== 'none';
    }

    // Marks links with `data-plain` that only their colour could set apart from the text around them.
    function mark_doubtful_links() {
        for (const link of document.querySelectorAll('a[href], [role=link]')) {
            link.removeAttribute('data-plain');
            if (is_block(link) || !link.checkVisibility()) continue;
            const underlined = element => getComputedStyle(element).textDecorationLine.includes('underline');
            if (underlined(link) && !underlined(link.parentElement)) continue;
            let block = link.parentElement;
            while (block !== document.body && !is_block(block)) block = block.parentElement;
            const letters = element => element.textContent.replace(/\s/g, '').length;
            const in_links = [...block.querySelectorAll('a[href], [role=link]')].map(letters).reduce((a, b) => a + b, 0);
            if (letters(block) > in_links) link.setAttribute('data-plain', '');
        }
    }

    // A colour on its way to the scheme's own is none that people read.
    function finish_transitions() {
        for (const animation of document.getAnimations()) {
            if (animation instanceof CSSTransition) animation.finish();
        }
    }

    function is_block(element) {
        return /^(block|list-item|flex|grid|inline-block|table.*)$/.test(getComputedStyle(element).display);
    }

    function has_text(element) {
        return [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
    }

    // Returns true if a part scrolls in which the Tab key leads nowhere.
    function scrolls_without_focus() {
        const STOPS = 'a[href], button, input, select, textarea, summary, iframe, [tabindex], [contenteditable]';
        return [...document.body.querySelectorAll('*')].some(part =>
            (part.scrollWidth > part.clientWidth || part.scrollHeight > part.clientHeight)
            && /auto|scroll/.test(getComputedStyle(part).overflow)
            && !part.matches(STOPS) && !part.querySelector(STOPS));
    }
}
