#include "coro/coroutines.hpp"
#include "coro/tasks.hpp"
#include "support/catch.hpp"
#include "support/child.hpp"

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <utility>
#include <vector>

#include <unistd.h>

#include <kaio/coro/channel.hpp>

namespace {

// What became of a send or a receive.
struct outcome {
    bool finished = false;
    bool sent = false;
    std::optional<int> received{};

    friend bool operator==(const outcome&, const outcome&) = default;
};

test::owned_coroutine send(kaio::channel<int>& channel, int value, outcome& out) {
    out.sent = co_await channel.send(value);
    out.finished = true;
}
test::owned_coroutine receive(kaio::channel<int>& channel, outcome& out) {
    out.received = co_await channel.receive();
    out.finished = true;
}

kaio::task<> produce(kaio::channel<int>& channel, int count) {
    for (int i = 0; i < count; ++i) {
        bool const sent = co_await channel.send(i);
        if (!sent) break;
    }
    channel.close();
}
kaio::task<std::int64_t> consume(kaio::channel<int>& channel) {
    std::int64_t sum = 0;
    int next = 0;
    for (;;) {
        std::optional<int> const value = co_await channel.receive();
        if (!value) break;
        if (*value != next++) co_return -1;
        sum += *value;
    }
    co_return sum;
}

} // namespace

TEST_CASE("a channel passes a million values on in order, whatever its capacity, and the stack does not grow") {
    kaio::loop loop(4);
    for (std::size_t const capacity : {0u, 1u, 2u, 7u, 1000u}) {
        kaio::channel<int> channel(capacity);
        CHECK(channel.capacity() == std::max<std::size_t>(capacity, 1));
        int const count = capacity == 1 ? 1'000'000 : 10'000;
        auto const [nothing, sum] = kaio::sync_wait(loop, kaio::when_all(produce(channel, count), consume(channel)));
        CHECK(sum == static_cast<std::int64_t>(count) * (count - 1) / 2);
        kaio::channel<int> other(capacity);
        auto const [same, nothing_more] = kaio::sync_wait(loop, kaio::when_all(consume(other), produce(other, count)));
        CHECK(same == sum);
    }
}

TEST_CASE("who sends waits while the channel is full, and who receives while it is empty") {
    kaio::channel<int> channel(2);
    outcome sent[4], received[4];
    test::owned_coroutine senders[4], receivers[4];
    for (int i = 0; i < 4; ++i) senders[i] = send(channel, i, sent[i]);
    CHECK(sent[1].sent);
    CHECK_FALSE(sent[2].finished);
    CHECK(channel.size() == 2);
    receivers[0] = receive(channel, received[0]);
    CHECK(received[0].received == 0);
    CHECK(sent[2].sent);
    CHECK_FALSE(sent[3].finished);
    for (int i = 1; i < 4; ++i) receivers[i] = receive(channel, received[i]);
    CHECK(sent[3].sent);
    CHECK(received[3].received == 3);
    CHECK(channel.size() == 0);
    outcome late;
    test::owned_coroutine const waiting = receive(channel, late);
    CHECK_FALSE(late.finished);
    CHECK(channel.try_send(9));
    CHECK(late.received == 9);
}

TEST_CASE("try_send and try_receive do not wait, and a value that is not sent is as it was") {
    kaio::channel<std::unique_ptr<int>> channel(1);
    CHECK_FALSE(channel.try_receive());
    CHECK(channel.try_send(std::make_unique<int>(1)));
    auto more = std::make_unique<int>(2);
    CHECK_FALSE(channel.try_send(std::move(more)));
    REQUIRE(more);
    auto const got = channel.try_receive();
    REQUIRE(got);
    CHECK(**got == 1);
    channel.close();
    CHECK_FALSE(channel.try_send(std::move(more)));
    CHECK(more);
}

TEST_CASE("a closed channel takes nothing more and gives what it has") {
    kaio::channel<int> channel(2);
    outcome sent[3], received[4];
    test::owned_coroutine coroutines[7];
    for (int i = 0; i < 3; ++i) coroutines[i] = send(channel, i, sent[i]);
    channel.close();
    channel.close();
    CHECK(channel.closed());
    CHECK(sent[2] == outcome{true, false, {}}); // it waited
    for (int i = 0; i < 3; ++i) coroutines[3 + i] = receive(channel, received[i]);
    CHECK(received[0].received == 0);
    CHECK(received[1].received == 1);
    CHECK(received[2] == outcome{true, false, {}});
    outcome late;
    coroutines[6] = send(channel, 9, late);
    CHECK(late == outcome{true, false, {}});
    CHECK_FALSE(channel.try_receive());
}

TEST_CASE("closing a channel resumes all that wait to receive, a million too, without growing the stack") {
    kaio::channel<int> channel(1);
    int ended = 0;
    auto const receiver = [](kaio::channel<int>& c, int& count) -> test::free_running {
        count += !co_await c.receive();
        c.close();
    };
    for (int i = 0; i < 1'000'000; ++i) receiver(channel, ended);
    channel.close();
    CHECK(ended == 1'000'000);
}

TEST_CASE("a receiver that closes the channel does not take from those before it what was sent") {
    kaio::channel<int> channel(4);
    outcome received[3];
    test::owned_coroutine coroutines[5];
    auto const closer = [](kaio::channel<int>& c, outcome& out) -> test::owned_coroutine {
        out.received = co_await c.receive();
        out.finished = true;
        CHECK(c.try_send(2)); // the next receiver's
        CHECK_FALSE(c.try_receive());
        c.close();
    };
    coroutines[0] = closer(channel, received[0]);
    coroutines[1] = receive(channel, received[1]);
    coroutines[2] = receive(channel, received[2]);
    CHECK(channel.try_send(1));
    CHECK(received[0].received == 1);
    CHECK(received[1].received == 2);
    CHECK(received[2] == outcome{true, false, {}});
}

TEST_CASE("who waits gets a value before one that is resumed and asks again") {
    kaio::channel<int> channel(4);
    std::vector<int> order;
    auto const again = [](kaio::channel<int>& c, std::vector<int>& out, int number) -> test::owned_coroutine {
        for (;;) {
            std::optional<int> const value = co_await c.receive();
            if (!value) break;
            out.push_back(number * 100 + *value);
            if (*value == 0) CHECK((c.try_send(1) && c.try_send(2) && c.try_send(3)));
        }
    };
    test::owned_coroutine const a = again(channel, order, 1), b = again(channel, order, 2),
                                c = again(channel, order, 3);
    CHECK(channel.try_send(0));
    CHECK(order == std::vector<int>{100, 201, 302, 103});
    channel.close();
    CHECK((a.finished() && b.finished() && c.finished()));
}

TEST_CASE("who waits to send does so before one that makes room and sends itself") {
    kaio::channel<int> channel(1);
    CHECK(channel.try_send(0));
    auto const barging = [](kaio::channel<int>& c) -> test::owned_coroutine {
        bool const sent = co_await c.send(1);
        CHECK(sent);
        CHECK(c.try_receive() == 1);
        CHECK_FALSE(c.try_send(9)); // the room is the next sender's
    };
    outcome out;
    test::owned_coroutine const first = barging(channel), second = send(channel, 2, out);
    CHECK(channel.try_receive() == 0);
    CHECK(first.finished());
    CHECK(out.sent);
    CHECK(channel.try_receive() == 2);
}

TEST_CASE("a coroutine that is destroyed while it waits sends nothing and receives nothing") {
    kaio::channel<std::shared_ptr<int>> channel(1);
    auto const value = std::make_shared<int>(1);
    auto const sender = [](kaio::channel<std::shared_ptr<int>>& c, std::shared_ptr<int> v) -> test::owned_coroutine {
        (void)co_await c.send(std::move(v));
    };
    auto const receiver = [](kaio::channel<std::shared_ptr<int>>& c, int& count) -> test::owned_coroutine {
        count += (co_await c.receive()).has_value();
    };
    int got = 0;
    test::owned_coroutine first = receiver(channel, got), second = receiver(channel, got);
    first.reset();
    CHECK(channel.try_send(value));
    CHECK(got == 1);
    test::owned_coroutine third = sender(channel, value), fourth = sender(channel, value),
                          fifth = sender(channel, value);
    fourth.reset();
    third.reset(); // it had sent
    CHECK(value.use_count() == 3);
    CHECK(channel.try_receive());
    CHECK(channel.try_receive());
    CHECK_FALSE(channel.try_receive());
    CHECK(value.use_count() == 1);
}

TEST_CASE("values that nobody receives are destroyed with the channel") {
    auto const value = std::make_shared<int>(1);
    {
        kaio::channel<std::shared_ptr<int>> channel(3);
        for (int i = 0; i < 5; ++i) {
            CHECK(channel.try_send(value));
            CHECK(channel.try_send(value));
            CHECK(channel.try_receive());
            CHECK((i == 4 || channel.try_receive()));
        }
        CHECK(value.use_count() == 2);
    }
    CHECK(value.use_count() == 1);
}

TEST_CASE("a channel's values may need more alignment than memory has by itself") {
    struct alignas(256) wide {
        int value;
    };
    kaio::channel<wide> channel(3);
    for (int i = 0; i < 3; ++i) CHECK(channel.try_send(wide{i}));
    for (int i = 0; i < 3; ++i) CHECK(channel.try_receive()->value == i);
}

TEST_CASE("a receiver that the closing resumes may destroy the channel, and the others go on") {
    auto channel = std::make_unique<kaio::channel<int>>(1);
    auto const owner = [](std::unique_ptr<kaio::channel<int>>& mine) -> test::owned_coroutine {
        std::optional<int> const value = co_await mine->receive();
        CHECK_FALSE(value);
        mine.reset();
    };
    outcome out[2];
    test::owned_coroutine const first = owner(channel), second = receive(*channel, out[0]),
                                third = receive(*channel, out[1]);
    channel->close();
    CHECK_FALSE(channel);
    CHECK(out[0] == outcome{true, false, {}});
    CHECK(out[1] == outcome{true, false, {}});
}

TEST_CASE("a coroutine that a send or a receive resumes may destroy the channel") {
    auto const receiver = [](std::unique_ptr<kaio::channel<int>>& mine) -> test::owned_coroutine {
        std::optional<int> const value = co_await mine->receive();
        CHECK(value == 1);
        mine.reset();
    };
    auto const sender = [](std::unique_ptr<kaio::channel<int>>& mine) -> test::owned_coroutine {
        bool const first = co_await mine->send(1);
        bool const second = co_await mine->send(2);
        CHECK((first && second));
        mine.reset();
    };
    outcome out;
    auto one = std::make_unique<kaio::channel<int>>(1);
    test::owned_coroutine const a = receiver(one), b = send(*one, 1, out);
    CHECK_FALSE(one);
    CHECK(out.sent);
    auto two = std::make_unique<kaio::channel<int>>(1);
    outcome other;
    test::owned_coroutine const c = sender(two), d = receive(*two, other);
    CHECK_FALSE(two);
    CHECK(other.received == 1);
}

TEST_CASE("an exception of a coroutine that is resumed leaves the call that resumed it, and the channel goes on") {
    kaio::channel<int> channel(2);
    auto const thrower = [](kaio::channel<int>& c) -> test::owned_coroutine {
        (void)co_await c.receive();
        throw std::runtime_error("resumed");
    };
    test::owned_coroutine const throwing = thrower(channel);
    outcome out;
    test::owned_coroutine const waiting = receive(channel, out);
    CHECK_THROWS_WITH(channel.try_send(1), "resumed");
    CHECK(channel.try_send(2));
    CHECK(out.received == 2);
}

TEST_CASE("a channel does in any order of calls what a plain model does") {
    for (unsigned seed = 0; seed < 300; ++seed) {
        std::mt19937 random(seed);
        std::size_t const capacity = 1 + random() % 4;
        kaio::channel<int> channel(capacity);
        constexpr std::size_t count = 300;
        std::vector<outcome> outcomes(count), model(count);
        std::vector<test::owned_coroutine> all(count);
        std::deque<int> values;
        std::deque<std::pair<std::size_t, int>> senders;
        std::deque<std::size_t> receivers;
        bool closed = false;
        auto const settle = [&] {
            for (bool more = true; more;) {
                more = false;
                if (!receivers.empty() && !values.empty()) {
                    model[receivers.front()] = {true, false, values.front()};
                    values.pop_front(), receivers.pop_front(), more = true;
                }
                if (!senders.empty() && values.size() < capacity) {
                    model[senders.front().first] = {true, true, {}};
                    values.push_back(senders.front().second), senders.pop_front(), more = true;
                }
            }
        };
        unsigned const towards_senders = random() % 5;
        for (std::size_t i = 0; i < count; ++i) {
            int const value = static_cast<int>(i);
            unsigned const choice = random() % 100;
            if (choice < 30 + 5 * towards_senders) {
                all[i] = send(channel, value, outcomes[i]);
                if (closed)
                    model[i] = {true, false, {}};
                else
                    senders.emplace_back(i, value);
                settle();
            } else if (choice < 80) {
                all[i] = receive(channel, outcomes[i]);
                if (closed && values.empty())
                    model[i] = {true, false, {}};
                else
                    receivers.push_back(i);
                settle();
            } else if (choice < 85) {
                bool const fits = !closed && values.size() < capacity;
                REQUIRE(channel.try_send(value) == fits);
                if (fits) values.push_back(value);
                settle();
            } else if (choice < 90) {
                std::optional<int> first;
                if (!values.empty()) first = values.front(), values.pop_front();
                REQUIRE(channel.try_receive() == first);
                settle();
            } else if (choice < 95 && !senders.empty()) {
                auto const place = senders.begin() + static_cast<std::ptrdiff_t>(random() % senders.size());
                all[place->first].reset();
                senders.erase(place);
            } else if (choice < 99 && !receivers.empty()) {
                auto const place = receivers.begin() + static_cast<std::ptrdiff_t>(random() % receivers.size());
                all[*place].reset();
                receivers.erase(place);
            } else if (choice == 99 && i > count / 2) {
                channel.close();
                closed = true;
                for (auto const& [number, unsent] : senders) model[number] = {true, false, {}};
                for (std::size_t const number : receivers) model[number] = {true, false, {}};
                senders.clear(), receivers.clear();
            }
            REQUIRE(channel.size() == values.size());
            REQUIRE(outcomes == model);
        }
        all.clear();
    }
}

TEST_CASE("destroying a channel while a coroutine waits for it ends the program with a message") {
    for (bool const sending : {false, true})
        CHECK(test::in_child([sending] {
                  std::signal(SIGABRT, SIG_DFL); // not Catch2's
                  ::close(STDERR_FILENO);
                  auto channel = std::make_unique<kaio::channel<int>>(1);
                  outcome out;
                  if (sending) (void)channel->try_send(1);
                  test::owned_coroutine const waiting = sending ? send(*channel, 1, out) : receive(*channel, out);
                  channel.reset();
                  return 0;
              }) == 1000 + SIGABRT);
}
