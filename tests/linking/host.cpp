// host ENGINE PLUGIN: a program that loads both shared objects, uses them, and prints the results.
#include <cstdio>

#include <dlfcn.h>
#include <unistd.h>

template <class Function> Function* find(void* object, const char* name) {
    void* const found = object ? dlsym(object, name) : nullptr;
    if (!found) std::printf("%s\n", dlerror());
    return reinterpret_cast<Function*>(found);
}

int main(int argc, char** argv) {
    alarm(20); // for a post that never arrives
    if (argc != 3) return 2;
    void* const engine = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    void* const plugin = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);
    auto* const make = find<void*()>(engine, "engine_make");
    auto* const start = find<void(void*)>(engine, "engine_start");
    auto* const stop = find<void(void*)>(engine, "engine_stop");
    auto* const read = find<int(void*)>(plugin, "plugin_read");
    auto* const post = find<void(void*, int)>(plugin, "plugin_post");
    if (!make || !start || !stop || !read || !post) return 1;
    void* const loop = make();
    std::printf("read %d\n", read(loop));
    start(loop);
    post(loop, 1000);
    stop(loop);
    std::puts("stopped");
}
