#pragma once

#include <string>

namespace examples {

/// Has `script`, a file beside this one, draw `<output><ending>` from `<output>.json`, and says
/// where they are. It needs python with matplotlib; without, a sentence says so.
void draw_picture(const std::string& script, const std::string& output,
                  const std::string& ending = ".png");

}  // namespace examples
