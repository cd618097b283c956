// Whether the sketches keep their promises: each check prints a table of what it observed beside what was
// promised, and returns whether every bound held. Seeds are fixed: a check gives the same table every time.
#pragma once

#include <iosfwd>

namespace bench {

bool check_quantiles(std::ostream& out);
bool check_distinct(std::ostream& out);
bool check_heavy_hitters(std::ostream& out);

}  // namespace bench
