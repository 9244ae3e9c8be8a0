#pragma once

#include "models/zoo.h"

namespace zoo {

/// Noisy 8x8 pictures of a bar in one of four directions.
struct Pictures {
  Tensor noisy;   ///< [512, 1, 8, 8]
  Tensor masks;   ///< the same without noise: 0 or 1
  Tensor labels;  ///< [512], the direction
};

Pictures draw_pictures();

}  // namespace zoo
