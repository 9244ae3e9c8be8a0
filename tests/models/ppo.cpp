// A bandit's policy and value by clipped ratios and an entropy bonus (Schulman et al. 2017).

#include <memory>
#include <optional>
#include <utility>

#include "models/bandit.h"
#include "models/models.h"

namespace zoo {
namespace {

struct ActorCritic : torch::nn::Module {
  ActorCritic()
      : trunk(register_module("trunk", torch::nn::Linear(6, 32))),
        actor(register_module("actor", torch::nn::Linear(32, 4))),
        critic(register_module("critic", torch::nn::Linear(32, 1))) {}

  std::pair<Tensor, Tensor> forward(const Tensor& x) {
    const auto h = torch::tanh(trunk->forward(x));
    return {actor->forward(h), critic->forward(h).squeeze(1)};
  }

  torch::nn::Linear trunk, actor, critic;
};

/// What the policy did in all contexts, before the mini-batches that learn from it.
struct Rollout {
  Rollout(ActorCritic& model, const Bandit& bandit) {
    const torch::NoGradGuard no_grad;
    const auto [logits, value] = model.forward(bandit.contexts);
    arms = torch::multinomial(torch::softmax(logits, 1), 1);
    log_p = torch::log_softmax(logits, 1).gather(1, arms).squeeze(1);
    reward = Bandit::pay(bandit.chances, arms.squeeze(1));
    const auto raw = reward - value;
    advantage = (raw - raw.mean()) / (raw.std() + 1e-8);
  }
  Tensor arms, log_p, reward, advantage;
};

Tensor ppo_loss(ActorCritic& model, const Bandit& bandit, const Rollout& old, int64_t batch) {
  constexpr double kClip = 0.2, kValueWeight = 0.5, kEntropyWeight = 0.01;
  const auto [logits, value] = model.forward(rows(bandit.contexts, batch));
  const auto log_p = torch::log_softmax(logits, 1);
  const auto ratio =
      torch::exp(log_p.gather(1, rows(old.arms, batch)).squeeze(1) - rows(old.log_p, batch));
  const auto advantage = rows(old.advantage, batch);
  const auto gain =
      torch::min(ratio * advantage, torch::clamp(ratio, 1 - kClip, 1 + kClip) * advantage);
  const auto entropy = -(log_p.exp() * log_p).sum(1).mean();
  return -gain.mean() + kValueWeight * (value - rows(old.reward, batch)).pow(2).mean() -
         kEntropyWeight * entropy;
}

}  // namespace

Model ppo() {
  const auto bandit = make_bandit();

  const auto model = std::make_shared<ActorCritic>();

  const auto loss = [=, epoch = int64_t{-1},
                     old = std::optional<Rollout>()](int64_t batch) mutable {
    if (const int64_t now = batch / kBatches; now != epoch) {
      epoch = now;
      old.emplace(*model, bandit);
    }
    return ppo_loss(*model, bandit, *old, batch);
  };
  const auto measure = [=] { return bandit.regret(model->forward(bandit.contexts).first); };
  return {model->parameters(), loss, measure};
}

}  // namespace zoo
