// The interactive ring of ring.md. make_ring is the model, which knows no page; show draws it and has the buttons.
// A place for it is <div class="kaio-ring">, in Chinese with lang="zh-CN".
"use strict";

(() => {
    // A context with `slots` slots in its ring, and one thread that submits and takes. Each function returns what
    // happened, as the name of a sentence in `words` and what that sentence mentions.
    function make_ring(slots = 8) {
        const nothing = { request: 0, res: 0 };
        const ring = {
            slots: Array.from({ length: slots }, () => nothing), // events; the kernel writes one and then moves the tail
            head: 0, // the next event to take: user space moves it
            tail: 0, // the next slot to fill: the kernel moves it
            in_flight: [],
            submitted: 0,
            completed: 0,
            delivered: [], // the requests whose events the program has seen, in that order
            eventfd: 0,
            asleep: null, // the way in which the thread sleeps, until a request completes
            barrier: true, // the thread loads the tail with acquire
            calls: { io_submit: 0, io_getevents: 0, epoll_wait: 0, read: 0 },
            looks: 0, // at the ring, without a system call
        };
        // What the processor has loaded of the slot at head before it was asked to. Without a barrier it may use that.
        let ahead = nothing;

        ring.waiting = () => (ring.tail - ring.head + slots) % slots;
        ring.room = () => slots - 1 - ring.in_flight.length - ring.waiting();

        ring.submit = (count) => {
            ring.calls.io_submit++;
            const taken = Math.min(count, ring.room());
            for (let i = 0; i < taken; i++) ring.in_flight.push(++ring.submitted);
            return { what: taken === 0 ? "full" : taken < count ? "part" : "submitted", taken, count };
        };

        ring.complete = (request) => {
            ring.in_flight = ring.in_flight.filter((each) => each !== request);
            ring.slots[ring.tail] = { request, res: 4096 };
            ring.tail = (ring.tail + 1) % slots;
            ring.completed++;
            ring.eventfd++;
            const way = ring.asleep;
            ring.asleep = null;
            return way ? { what: "woken", request, then: finish(way, slots) } : { what: "completed", request };
        };

        // Takes up to `most` events in one of the ways: ring, getevents (minimum 0), sleep (minimum 1), eventfd.
        ring.take = (way, most = slots) => {
            if (way === "getevents" || way === "sleep") ring.calls.io_getevents++;
            if (way === "eventfd") ring.calls.epoll_wait++;
            const empty = way === "eventfd" ? ring.eventfd === 0 : ring.waiting() === 0;
            if ((way === "sleep" || way === "eventfd") && empty) {
                ring.asleep = way;
                return { what: ring.in_flight.length === 0 ? "forever" : "asleep" };
            }
            return finish(way, most);
        };

        function finish(way, most) {
            let early = 0;
            if (way === "eventfd") {
                ring.calls.read++;
                early = ring.eventfd;
                ring.eventfd = 0;
            }
            const by_kernel = way === "getevents" || way === "sleep";
            if (!by_kernel) ring.looks++;
            const found = [], stale = [];
            const count = Math.min(most, ring.waiting());
            for (let i = 0; i < count; i++) {
                const there = ring.slots[ring.head];
                // The kernel takes events under its own lock. A thread without a barrier may have loaded the first one
                // before the tail that says it is there.
                const event = by_kernel || ring.barrier || i > 0 ? there : ahead;
                if (event !== there) stale.push(there.request);
                found.push(event.request);
                ring.head = (ring.head + 1) % slots;
            }
            ahead = ring.slots[ring.head];
            ring.delivered.push(...found);
            if (stale.length) return { what: "stale", found, lost: stale[0], instead: found[0] };
            if (count === 0) return { what: early ? "ahead_of_ring" : way === "ring" ? "empty" : "none", early };
            return { what: "taken", found, by_kernel };
        }
        return ring;
    }

    const words = {
        en: {
            title: "The completion ring",
            submit: (n) => (n === 1 ? "Submit 1" : `Submit ${n}`),
            take_one: "Take one",
            take_all: "Take all",
            again: "Start again",
            in_flight: "In flight (press one to complete it)",
            nobody: "nothing",
            way: "The thread takes events by",
            ways: {
                ring: "looking at the ring",
                getevents: "io_getevents, minimum 0",
                sleep: "io_getevents, minimum 1: it sleeps",
                eventfd: "an eventfd, with epoll",
            },
            barrier: "with the barrier (load-acquire of the tail)",
            complete: (n) => `Complete request ${n}`,
            slot: (i, text) => `Slot ${i}: ${text}`,
            old: "old",
            free: "free",
            calls: "System calls",
            looks: "looks at the ring, without one",
            delivered: "Events that the program has seen",
            asleep_now: "The thread sleeps in the kernel. Complete a request.",
            awake_now: "The thread runs.",
            submitted: (e) => `io_submit(${e.count}) returns ${e.taken}.`,
            part: (e) => `io_submit(${e.count}) returns ${e.taken}: it takes as many as there is room for.`,
            full: () => "io_submit returns EAGAIN: no slot is free. Take events first.",
            completed: (e) => `Request ${e.request} completes: the kernel writes its event, then moves the tail.`,
            woken: (e) => `Request ${e.request} completes, and that wakes the thread.`,
            asleep: () => "Nothing is there. The thread sleeps in the kernel.",
            forever: () => "Nothing is in flight, so nothing will wake the thread. Submit from another thread.",
            empty: () => "head = tail: nothing is there. That took a nanosecond and no system call.",
            none: () => "It returns 0: nothing is there.",
            ahead_of_ring: (e) => `The eventfd said ${e.early}, but the events were taken before. The count is no count of events.`,
            taken: (e) => `Taken: ${e.found.join(", ")}. Then the ${e.by_kernel ? "kernel" : "thread"} moves the head.`,
            stale: (e) =>
                `The tail is new, but the event was loaded before it: the thread reads ${
                    e.instead ? `the old event of request ${e.instead} again` : "zeros"
                }. Request ${e.lost} is lost.`,
        },
        zh: {
            title: "完成环",
            submit: (n) => `提交 ${n} 个`,
            take_one: "取一个",
            take_all: "全部取走",
            again: "重新开始",
            in_flight: "在途请求（点一个，它就完成）",
            nobody: "没有",
            way: "线程获取完成事件的方式",
            ways: {
                ring: "直接看完成环（轮询）",
                getevents: "io_getevents，最少 0 个",
                sleep: "io_getevents，最少 1 个：睡眠等待",
                eventfd: "eventfd 加 epoll",
            },
            barrier: "带内存屏障（用 load-acquire 读 tail）",
            complete: (n) => `完成请求 ${n}`,
            slot: (i, text) => `槽 ${i}：${text}`,
            old: "旧",
            free: "空",
            calls: "系统调用",
            looks: "次查看完成环，没有系统调用",
            delivered: "程序看到的事件",
            asleep_now: "线程在内核里睡眠。请完成一个请求。",
            awake_now: "线程在运行。",
            submitted: (e) => `io_submit(${e.count}) 返回 ${e.taken}。`,
            part: (e) => `io_submit(${e.count}) 返回 ${e.taken}：有多少空位就接受多少。`,
            full: () => "io_submit 返回 EAGAIN：没有空槽。先取走事件。",
            completed: (e) => `请求 ${e.request} 完成：内核先写事件，再移动 tail。`,
            woken: (e) => `请求 ${e.request} 完成，线程被唤醒。`,
            asleep: () => "还没有事件。线程在内核里睡眠。",
            forever: () => "没有在途请求，不会有谁唤醒这个线程。请从另一个线程提交。",
            empty: () => "head = tail：没有事件。用了一纳秒，没有系统调用。",
            none: () => "返回 0：没有事件。",
            ahead_of_ring: (e) => `eventfd 的计数是 ${e.early}，但事件早已取走。这个计数不是事件的个数。`,
            taken: (e) => `取到：${e.found.join("、")}。然后${e.by_kernel ? "内核" : "线程"}移动 head。`,
            stale: (e) =>
                `tail 是新的，事件却是在它之前读到的：线程读到${
                    e.instead ? `请求 ${e.instead} 的旧事件` : "全零"
                }。请求 ${e.lost} 丢失了。`,
        },
    };

    // Makes an element with attributes, and with what is in it.
    function make(name, attributes = {}, ...inside) {
        const element = document.createElement(name);
        for (const [key, value] of Object.entries(attributes)) {
            if (key.startsWith("on")) element[key] = value;
            else if (value !== false) element.setAttribute(key, value === true ? "" : value);
        }
        element.append(...inside);
        return element;
    }

    function show(place) {
        const say = place.lang.startsWith("zh") ? words.zh : words.en;
        let ring = make_ring();
        let way = "ring";
        const log = make("ol", { class: "log", "aria-live": "polite" });

        function tell(event) {
            if (!event) return;
            log.prepend(make("li", { class: event.what }, say[event.what](event)));
            while (log.children.length > 4) log.lastChild.remove();
            if (event.then) tell(event.then);
        }
        // A button that does something, and then everything is drawn anew.
        const button = (label, act, more = {}) => make("button", { type: "button", ...more, onclick: () => { tell(act()); draw(); } }, label);

        const submit = [1, 4].map((count) => button(say.submit(count), () => ring.submit(count), { "data-do": `submit-${count}` }));
        const take = [
            button(say.take_one, () => ring.take(way, 1), { "data-do": "take-one" }),
            button(say.take_all, () => ring.take(way), { "data-do": "take-all" }),
        ];
        const again = button(say.again, () => { ring = make_ring(); ring.barrier = barrier.checked; log.replaceChildren(); },
            { "data-do": "again" });
        const ways = make("select", { "data-do": "way", onchange: (event) => { way = event.target.value; draw(); } },
            ...Object.entries(say.ways).map(([value, text]) => make("option", { value }, text)));
        const barrier = make("input", { type: "checkbox", checked: true, "data-do": "barrier",
            onchange: (event) => { ring.barrier = event.target.checked; } });
        const slots = make("ol", { class: "slots" });
        const in_flight = make("div", { class: "in-flight" });
        const thread = make("p", { class: "thread", role: "status" });
        const calls = make("p", { class: "calls" });
        const delivered = make("p", { class: "delivered" });

        function draw() {
            const ready = ring.waiting();
            slots.replaceChildren(...ring.slots.map((event, i) => {
                const is_ready = (i - ring.head + ring.slots.length) % ring.slots.length < ready;
                const state = is_ready ? "ready" : event.request ? "old" : "free";
                const marks = [i === ring.head && "head", i === ring.tail && "tail"].filter(Boolean);
                const text = is_ready ? `${event.request}` : event.request ? `${event.request} (${say.old})` : say.free;
                return make("li", { class: state, "aria-label": say.slot(i, [text, ...marks].join(", ")) },
                    make("span", { class: "event" }, event.request ? `${event.request}` : "·"),
                    ...marks.map((mark) => make("span", { class: mark }, mark)));
            }));
            in_flight.replaceChildren(...(ring.in_flight.length === 0 ? [say.nobody] : ring.in_flight.map((request) =>
                button(`${request}`, () => ring.complete(request), { "data-complete": `${request}`, "aria-label": say.complete(request) }))));
            for (const each of [...submit, ...take]) each.disabled = ring.asleep !== null;
            if (ring.asleep && ring.in_flight.length === 0) submit[0].disabled = false; // another thread's
            thread.textContent = ring.asleep ? say.asleep_now : say.awake_now;
            thread.classList.toggle("asleep", ring.asleep !== null);
            const made = Object.entries(ring.calls).map(([name, count]) => `${name} ${count}`);
            calls.textContent = `${say.calls}: ${made.join(", ")}; ${ring.looks} ${say.looks}`;
            delivered.textContent = `${say.delivered}: ${ring.delivered.join(", ") || say.nobody}`;
        }

        place.replaceChildren(
            make("div", { class: "row" }, ...submit, ...take, again),
            make("label", {}, say.way, " ", ways),
            make("label", {}, barrier, " ", say.barrier),
            make("div", { role: "group", "aria-label": say.title }, slots),
            make("p", {}, say.in_flight), in_flight,
            log, thread, calls, delivered);
        draw();
    }

    globalThis.make_ring = make_ring;
    if (typeof document !== "undefined")
        document.addEventListener("DOMContentLoaded", () => document.querySelectorAll(".kaio-ring").forEach(show));
})();
