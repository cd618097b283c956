// What tests of the server include, precompiled.
#pragma once

#define QT_NO_EMIT  // Asio has a function of that name
#include "common/asio/precompiled.hpp"
#include "tests/support/precompiled.hpp"
