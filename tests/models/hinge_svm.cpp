// A linear support vector machine on products of features, with its L2 penalty in the loss.

#include "models/models.h"

namespace zoo {

Model hinge_svm() {
  constexpr double kPenalty = 1e-3;
  const auto x = torch::randn({kExamples, 6});
  const auto pairs = (x.unsqueeze(2) * x.unsqueeze(1)).flatten(1);
  const auto features = torch::cat({x, pairs}, 1);
  const auto noise = 0.5 * torch::randn({kExamples});
  const auto y = torch::sign(x.select(1, 0) + x.select(1, 1) * x.select(1, 2) + noise);

  torch::nn::Linear svm(features.size(1), 1);

  return {svm->parameters(), [=](int64_t batch) mutable {
            const auto score = svm->forward(rows(features, batch)).squeeze(1);
            return torch::clamp_min(1 - rows(y, batch) * score, 0).mean() +
                   kPenalty * svm->weight.pow(2).sum();
          }};
}

}  // namespace zoo
