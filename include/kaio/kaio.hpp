// All of kaio but the simulated kernel, which is kaio/sim/kernel.hpp, and the pieces that not every program should have
// to compile: submit_and_wait and shared_context in kaio/io/; helpers, offload, owned_post and posted_request in
// kaio/loop/; completion, event, semaphore, mutex, channel, task_group, waiting_pool, with_timeout, with_stop_token,
// async_file, directory, read_file, write_range and replace_file in kaio/coro/. The raw layer alone is
// kaio/io/context.hpp and kaio/io/request.hpp.
#pragma once

#include <kaio/coro/for_each_concurrent.hpp>
#include <kaio/coro/read_range.hpp>
#include <kaio/coro/spawn.hpp>
#include <kaio/coro/sync_wait.hpp>
#include <kaio/coro/task.hpp>
#include <kaio/coro/when_all.hpp>
#include <kaio/coro/write_file.hpp>
#include <kaio/coro/yield.hpp>
#include <kaio/io/aligned_allocator.hpp>
#include <kaio/io/aligned_buffer.hpp>
#include <kaio/io/buffer_pool.hpp>
#include <kaio/io/context.hpp>
#include <kaio/io/file.hpp>
#include <kaio/io/request.hpp>
#include <kaio/io/result.hpp>
#include <kaio/loop/loop.hpp>
#include <kaio/loop/notifier.hpp>
#include <kaio/loop/request_scope.hpp>
#include <kaio/version.hpp>
