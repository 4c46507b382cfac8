// The search page wants every word of a question on a page. This wants the words that tell pages apart: each counts by
// how few pages have it, and doubly in a title. A page needs half of what the whole question counts.
document.addEventListener("DOMContentLoaded", () => {
    if (typeof Search === "undefined") return;
    if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false; // a file can't be fetched
    Search.performTermsSearch = (words) => {
        const { terms, titleterms, docnames, titles, filenames } = Search._index;
        const pages = (index, word) => [(Object.hasOwn(index, word) ? index[word] : null) ?? []].flat();
        const scores = new Map();
        let whole = 0;
        for (const word of words) {
            const similar = pages(terms, word).length || word.length < 3 ? [word]
                : Object.keys(terms).filter((term) => term.includes(word));
            const found = new Set(similar.flatMap((term) => pages(terms, term)));
            const titled = new Set(pages(titleterms, word));
            const weight = Math.log(1 + docnames.length / (1 + found.size));
            whole += weight;
            for (const page of new Set([...found, ...titled]))
                scores.set(page, (scores.get(page) ?? 0) + weight * (titled.has(page) ? 2 : 1));
        }
        return [...scores].filter(([, score]) => score >= whole / 2)
            .map(([page, score]) => [docnames[page], titles[page], "", null, score, filenames[page]]);
    };
});
