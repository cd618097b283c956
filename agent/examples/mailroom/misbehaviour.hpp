// Trouble on request, to watch a group of workers cope with it. Only for demonstrations and tests: anybody
// who can reach the server can then take its workers down.
//
//     POST /misbehave/leak?bytes=64MiB         keeps that much memory, used, for the worker's life
//     POST /misbehave/spin?seconds=2.5         computes without returning to the event loop
//     POST /misbehave/block?milliseconds=500   sleeps without returning to the event loop
//     POST /misbehave/sleep?milliseconds=500   answers later; others are served meanwhile
//     POST /misbehave/crash                    SIGSEGV
//     POST /misbehave/exit?status=3            ends the worker without a word
#pragma once

#include "signalbox/http.hpp"

namespace mailroom {

void add_misbehaviour(signalbox::Router& router);

}  // namespace mailroom
