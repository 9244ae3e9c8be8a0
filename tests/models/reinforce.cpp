// A bandit's policy by REINFORCE with the batch's mean as baseline.

#include "models/bandit.h"
#include "models/models.h"

namespace zoo {

Model reinforce() {
  using namespace torch::nn;
  const auto bandit = make_bandit();

  Sequential policy(Linear(6, 32), Tanh(), Linear(32, 4));

  const auto loss = [=](int64_t batch) mutable {
    const auto log_p = torch::log_softmax(policy->forward(rows(bandit.contexts, batch)), 1);
    const auto arms = torch::multinomial(log_p.detach().exp(), 1).squeeze(1);
    const auto reward = Bandit::pay(rows(bandit.chances, batch), arms);
    const auto advantage = reward - reward.mean();
    return -(log_p.gather(1, arms.unsqueeze(1)).squeeze(1) * advantage).mean();
  };
  const auto measure = [=]() mutable { return bandit.regret(policy->forward(bandit.contexts)); };
  return {policy->parameters(), loss, measure};
}

}  // namespace zoo
