#include "models/bandit.h"

namespace zoo {

Tensor Bandit::pay(const Tensor& chances, const Tensor& arms) {
  return torch::bernoulli(chances.gather(1, arms.unsqueeze(1)).squeeze(1));
}

double Bandit::regret(const Tensor& logits) const {
  const auto earned = (torch::softmax(logits, 1) * chances).sum(1);
  return (chances.amax(1) - earned).mean().item<double>();
}

Bandit make_bandit() {
  const auto contexts = torch::randn({kExamples, 6});
  return {contexts, torch::sigmoid(1.5 * contexts.mm(torch::randn({6, 4})))};
}

}  // namespace zoo
