// Rare positives among easy negatives (Lin et al. 2017).

#include "models/models.h"

namespace zoo {

Model focal_loss() {
  using namespace torch::nn;
  constexpr double kAlpha = 0.75, kGamma = 2;
  const auto x = torch::randn({kExamples, 6});
  const auto y = (x.pow(2).narrow(1, 0, 3).sum(1) > 5).to(torch::kFloat);

  Sequential net(Linear(6, 32), ReLU(), Linear(32, 1));

  return {net->parameters(), [=](int64_t batch) mutable {
            const auto target = rows(y, batch);
            const auto logits = net->forward(rows(x, batch)).squeeze(1);
            const auto bce = torch::binary_cross_entropy_with_logits(logits, target, {}, {},
                                                                     at::Reduction::None);
            const auto p_t = torch::exp(-bce);
            const auto alpha_t = kAlpha * target + (1 - kAlpha) * (1 - target);
            return (alpha_t * (1 - p_t).pow(kGamma) * bce).mean();
          }};
}

}  // namespace zoo
