// Trouble on request, to watch a group of workers cope with it. Only for demonstrations and tests: anybody
// who can reach the server can then take its workers down.
//
//     POST /misbehave/leak?bytes=64MiB         keeps that much memory, used, for the worker's life
//     POST /misbehave/leak-files?count=100     keeps that many files open
//     POST /misbehave/spin?seconds=2.5         computes without returning to the event loop
//     POST /misbehave/block?milliseconds=500   sleeps without returning to the event loop
//     POST /misbehave/sleep?milliseconds=500   answers later; others are served meanwhile
//     POST /misbehave/deadlock                 waits for ever for a lock that it holds
//     POST /misbehave/fail                     500: its handler throws
//     POST /misbehave/crash                    SIGSEGV
//     POST /misbehave/exit?status=3            ends the worker without a word
#pragma once

#include <string>

#include "signalbox/http.hpp"

namespace mailroom {

void add_misbehaviour(signalbox::Router& router);

/// SIGSEGV if the file is there. For Group::after_fork().
void crash_if(const std::string& file);

}  // namespace mailroom
