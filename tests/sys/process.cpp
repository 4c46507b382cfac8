#include "support/catch.hpp"
#include "support/child.hpp"

#include <thread>
#include <vector>

#include <kaio/sys/process.hpp>

TEST_CASE("a process has one stamp, and its threads agree on it") {
    unsigned const stamp = kaio::stamp_process();
    CHECK(stamp != 0);
    CHECK(kaio::stamp_process() == stamp);
    CHECK(kaio::process_stamp() == stamp);
    std::vector<unsigned> seen(8);
    std::vector<std::thread> threads;
    for (unsigned& s : seen) threads.emplace_back([&s] { s = kaio::stamp_process(); });
    for (auto& t : threads) t.join();
    CHECK(seen == std::vector<unsigned>(8, stamp));
}

TEST_CASE("no child has the stamp of an ancestor, before it asks for its own and after") {
    unsigned const stamp = kaio::stamp_process();
    CHECK(test::in_child([&] {
              if (kaio::process_stamp() != 0) return 1;
              unsigned const child = kaio::stamp_process();
              if (child == 0 || child == stamp || kaio::process_stamp() != child) return 2;
              return test::in_child([&] {
                  if (kaio::process_stamp() != 0) return 3;
                  unsigned const grandchild = kaio::stamp_process();
                  return grandchild == 0 || grandchild == child || grandchild == stamp ? 4 : 0;
              });
          }) == 0);
    CHECK(kaio::process_stamp() == stamp);
}
