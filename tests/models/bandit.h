#pragma once

#include "models/zoo.h"

namespace zoo {

/// Contexts in each of which one of four arms pays best.
struct Bandit {
  Tensor contexts;  ///< [512, 6]
  Tensor chances;   ///< [512, 4]: with which probability each arm pays 1

  /// 0 or 1 for the arms [n] pulled in the first n of these rows of chances.
  static Tensor pay(const Tensor& chances, const Tensor& arms);
  /// How much less than the best arms a policy of these logits [512, 4] earns a pull.
  double regret(const Tensor& logits) const;
};

Bandit make_bandit();

}  // namespace zoo
