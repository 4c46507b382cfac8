// A shared object that makes a loop and runs it in its own thread. A plug-in uses the loop.
#include <cstdlib>
#include <thread>

#include <kaio/kaio.hpp>

namespace {
std::thread worker;
}

extern "C" [[gnu::visibility("default")]] kaio::loop* engine_make() { return new kaio::loop(8); }

extern "C" [[gnu::visibility("default")]] void engine_start(kaio::loop* loop) {
    loop->hold();
    worker = std::thread([loop] { loop->run(); });
}

extern "C" [[gnu::visibility("default")]] void engine_stop(kaio::loop* loop) {
    loop->post([loop] { loop->release(); });
    worker.join();
    delete loop;
}
