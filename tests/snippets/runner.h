#pragma once

#include <string>
#include <vector>

namespace snippets {

/// A code block of a page or header.
struct Snippet {
  const char* place;     ///< "docs/guide/losses.md:12"
  void (*run)();         ///< runs it
  const char* expected;  ///< what it prints by its page; "..." stands for anything within a line
};

/// Those of each generated file.
std::vector<Snippet> part_0();
std::vector<Snippet> part_1();

}  // namespace snippets
