import { type FactReader, given, instantOf, join, type Telling, type Templates, wordIn } from "./templates.ts";

const PROMISES = {
  availability: "la disponibilité",
  response_time: "le temps de réponse",
  errors: "les erreurs",
  accuracy: "la précision",
};
const BREAKER = {
  budget: "trop de requêtes ont dû être servies par la version stable",
  errors: "trop de ses réponses étaient des erreurs",
  accuracy: "trop de ses réponses étaient de qualité insuffisante",
  connect: "elle était injoignable",
  hand: "quelqu’un l’a ouvert à la main",
};
const IMPACTS = { none: "aucun", degraded: "service dégradé", outage: "service interrompu" };
const STATES = { investigating: "en cours d’analyse", identified: "cause identifiée", monitoring: "sous surveillance", resolved: "résolu" };

function tell(title: string, happened: string, means = "", done = "", next = ""): Telling {
  return { title, happened, means, done, next };
}

function at(fact: FactReader): string {
  return join(
    given(fact("step"), (step) => step),
    given(fact("percentage"), (share) => `(${share})`),
  );
}

function because(fact: FactReader): string {
  return given(fact("reason"), (reason) => `Motif : ${reason}.`).replace(/\.\.$/, ".");
}

function by(fact: FactReader): string {
  return given(fact("by"), (who) => ` par ${who}`);
}

function figures(fact: FactReader): string {
  return join(
    given(
      fact("value"),
      (value) =>
        `Mesuré : ${value}${given(fact("target"), (target) => ` ; promis : ${fact("direction") === "at-most" ? "au plus" : "au moins"} ${target}`)}.`,
    ),
    given(fact("limit"), (limit) => `Compte ce qui est servi en moins de ${limit}.`),
    given(fact("p95"), (p95) => `P95 : ${p95}.`),
    given(fact("budgetLeft"), (left) => `Il reste ${left} du budget d’erreur.`),
    given(fact("others"), (count) => `Il en va de même pour ${count} autre(s) version(s) ou segment(s).`),
  );
}

function whose(fact: FactReader): string {
  const version = fact("version") === "all" ? "" : given(fact("version"), (name) => `version ${name}`);
  const segment = fact("segment") === "all" ? "" : given(fact("segment"), (name) => `segment ${name}`);
  const both = [version, segment].filter((text) => text !== "").join(", ");
  return both === "" ? "" : ` (${both})`;
}

function rollbackState(fact: FactReader): string {
  if (fact("took") === "") {
    return join(
      "Le retour est en cours.",
      given(fact("stages"), () => "La version stable ne peut pas tout reprendre d’un coup : le trafic revient par paliers."),
    );
  }
  return join(
    `Le retour arrière a pris ${fact("took")}.`,
    given(fact("confirmed"), (count) => `${count} instance(s) ont confirmé${given(fact("trafficTook"), (took) => ` après ${took}`)}.`),
    given(fact("unconfirmed"), (names) => `NON confirmé par ${names} : des utilisateurs y sont peut-être encore sur la version candidate.`),
    given(fact("hooksFailed"), (names) => `Ces actions de suivi n’ont pas abouti : ${names}.`),
  );
}

function rollbackTitle(fact: FactReader, flag: string): string {
  return `${flag} : retour arrière depuis ${at(fact) || "la version candidate"}${given(fact("trigger"), (name) => ` sur le déclencheur ${name}`)}`;
}

export const TEMPLATES_FR: Templates = {
  rollbackState,
  tellings: {
    "rollout-started": (fact, flag) =>
      tell(
        `${flag} : le déploiement a commencé à ${at(fact)}`,
        `Le plan ${fact("plan")} a été lancé${by(fact)}${given(fact("percentage"), (share) => ` ; ${share} du trafic va à la version candidate`)}.`,
        "Un utilisateur déplacé reste où il est, même quand la part augmente.",
        "Les déclencheurs sont surveillés : si l’un d’eux échoue, tout le monde revient de lui-même à la version stable.",
        "L’étape suivante commence quand la durée est écoulée et que toutes les conditions sont remplies.",
      ),
    "rollout-advanced": (fact, flag) =>
      tell(
        `${flag} : ${given(fact("from"), (from) => `de ${from} à `)}${fact("percentage") || at(fact)}`,
        `Le déploiement est entré dans l’étape ${at(fact)}.`,
        "Toutes les conditions de l’étape précédente sont remplies.",
        "Les déclencheurs restent surveillés.",
        "L’étape suivante commence quand la durée est écoulée et que toutes les conditions sont remplies.",
      ),
    "rollout-waiting": (fact, flag) =>
      fact("roles") === ""
        ? tell(
            `${flag} : en attente à ${at(fact)}`,
            `La durée de l’étape ${at(fact)} est écoulée, mais tout ce qu’elle demande n’est pas réuni.`,
            "La part reste inchangée.",
            given(fact("reasons"), (reasons) => `Ce qui manque : ${reasons}.`),
            "Le déploiement reprend de lui-même dès que tout est réuni.",
          )
        : tell(
            `${flag} : en attente d’approbation à ${at(fact)}`,
            `L’étape ${at(fact)} ne peut être quittée qu’avec l’accord de : ${fact("roles")}.`,
            "D’ici là, la part reste inchangée.",
            given(fact("reasons"), (reasons) => `État actuel : ${reasons}.`),
            `Examinez les chiffres, puis : crossfade rollout approve --flag ${flag} --role ROLE`,
          ),
    "rollout-held": (fact, flag) =>
      fact("cause") === "pause"
        ? tell(
            `${flag} : en pause à ${at(fact)}`,
            join(`Le déploiement a été mis en pause${by(fact)} à ${at(fact)}.`, because(fact)),
            "La part reste inchangée ; les déclencheurs restent surveillés.",
            "",
            `Pour reprendre : crossfade rollout resume --flag ${flag}`,
          )
        : tell(
            `${flag} : retenu à ${at(fact)}, réglages modifiés à la main`,
            join(`Les réglages en vigueur ne sont pas ceux de l’étape ${at(fact)}.`, because(fact)),
            "La main de l’opérateur l’emporte : le déploiement ne bouge plus, ni en avant ni vers ses propres chiffres. Les déclencheurs restent surveillés.",
            "",
            `Trouvez qui les a changés et pourquoi (audit du tableau de bord), puis : crossfade rollout resume --flag ${flag}`,
          ),
    "rollout-resumed": (fact, flag) =>
      tell(
        `${flag} : reprise à ${at(fact)}`,
        `Le déploiement reprend à l’étape ${at(fact)}${by(fact)}.`,
        "",
        "Les déclencheurs restent surveillés.",
      ),
    "rollout-rolling-back": (fact, flag) =>
      tell(
        rollbackTitle(fact, flag),
        join(`Le déploiement est revenu en arrière depuis ${at(fact) || "la version candidate"}${by(fact)}.`, because(fact)),
        "Tout le monde est servi par la version stable, ou le sera dans un instant. Les utilisateurs reçoivent leurs réponses ; il n’y a rien à faire pour cela.",
        rollbackState(fact),
        "Trouvez la cause avant de reprendre : le déploiement ne repart pas de lui-même.",
      ),
    "rollout-rolled-back": (fact, flag) =>
      tell(
        `${flag} : retour arrière terminé${given(fact("took"), (took) => ` en ${took}`)}`,
        rollbackState(fact),
        fact("unconfirmed") === ""
          ? "Tout le monde est servi par la version stable."
          : "Vérifiez tout de suite les instances qui n’ont pas confirmé, ou arrêtez-les.",
        because(fact),
        `Trouvez la cause, puis reprenez à une étape : crossfade rollout resume --flag ${flag} --at STEP`,
      ),
    "rollout-completed": (fact, flag) =>
      tell(
        `${flag} : déploiement achevé`,
        `Le plan ${fact("plan")} est achevé${given(fact("took"), (took) => ` après ${took}`)} ; ${fact("percentage") || "tout"} du trafic va à la version candidate.`,
        "",
        "Les déclencheurs restent surveillés jusqu’à l’arrêt de la version stable.",
      ),
    "trigger-failing": (fact, flag) =>
      tell(
        `${flag} : le déclencheur ${fact("trigger")} échoue sans retour arrière`,
        join(`Le déclencheur ${fact("trigger")} échoue depuis un moment.`, because(fact)),
        join(
          "Les utilisateurs de la version candidate sont peut-être mal servis.",
          given(fact("reasons"), (reasons) => `Pourquoi rien ne bouge : ${reasons}.`),
        ),
        "",
        `Décidez tout de suite : crossfade rollout rollback --flag ${flag}, ou crossfade kill --flag ${flag}`,
      ),
    "trigger-passing": (fact, flag) =>
      tell(
        `${flag} : le déclencheur ${fact("trigger")} n’échoue plus`,
        join(`Le déclencheur ${fact("trigger")} n’échoue plus.`, because(fact)),
      ),
    killed: (fact, flag) =>
      tell(
        `${flag} : l’arrêt d’urgence a été actionné`,
        join(`L’arrêt d’urgence de ${flag} a été actionné${by(fact)}.`, because(fact)),
        "Tout le monde est servi par la version stable. Le déploiement ne bouge pas pendant ce temps.",
        "",
        `Une fois la cause écartée : crossfade unkill --flag ${flag}`,
      ),
    unkilled: (fact, flag) =>
      tell(
        `${flag} : l’arrêt d’urgence a été levé`,
        join(`L’arrêt d’urgence de ${flag} a été levé${by(fact)}.`, because(fact)),
        "La part des réglages est de nouveau en vigueur.",
      ),
    "breaker-open": (fact, flag) =>
      tell(
        `${flag} : le disjoncteur de ${fact("route") || "la route"} est ouvert`,
        `${fact("upstream") || "La version candidate"} ne reçoit plus de requêtes de l’instance ${fact("instance") || "qui le signale"} : ${wordIn(BREAKER, fact("why")) || "ses chiffres étaient mauvais"}.`,
        "Ses utilisateurs sont servis par la version stable.",
        fact("why") === "hand" ? "" : "De nouveaux essais ont lieu d’eux-mêmes, d’abord avec peu de requêtes.",
        fact("why") === "hand"
          ? "Il reste ouvert jusqu’à ce que quelqu’un le remette en automatique."
          : "S’il ne se referme pas en quelques minutes, examinez la version candidate.",
      ),
    "breaker-closed": (fact, flag) =>
      tell(
        `${flag} : le disjoncteur de ${fact("route") || "la route"} est refermé`,
        `${fact("upstream") || "La version candidate"} reçoit de nouveau sa part.`,
      ),
    "incident-opened": (fact) =>
      tell(
        `Incident ${fact("incident")} : ${fact("title")}`,
        join(`${fact("title")}.`, fact("text")),
        given(fact("impact"), (impact) => `Effet pour les clients : ${wordIn(IMPACTS, impact)}.`),
        given(fact("by"), (who) => `Ouvert par ${who}.`),
        given(fact("incident"), (id) => `Donnez la suite : crossfade incident update ${id}`),
      ),
    "incident-updated": (fact) =>
      tell(
        `Incident ${fact("incident")} : ${given(fact("state"), (state) => wordIn(STATES, state))}`,
        join(
          given(fact("title"), (title) => `${title}.`),
          fact("text"),
        ),
        given(fact("impact"), (impact) => `Effet pour les clients : ${wordIn(IMPACTS, impact)}.`),
        given(fact("by"), (who) => `Écrit par ${who}.`),
      ),
    "incident-resolved": (fact) =>
      tell(
        `Incident ${fact("incident")} : résolu`,
        join(
          given(fact("title"), (title) => `${title}.`),
          fact("text"),
          "L’incident est résolu.",
        ),
        "",
        given(fact("by"), (who) => `Résolu par ${who}.`),
      ),
    "maintenance-announced": (fact) =>
      tell(
        fact("cancelled") === "" ? `Maintenance annoncée : ${fact("title")}` : `Maintenance annulée : ${fact("title")}`,
        join(
          given(fact("title"), (title) => `${title}.`),
          fact("text"),
        ),
        fact("cancelled") === "" ? `Du ${instantOf(fact("from"))} au ${instantOf(fact("to"))}.` : "Elle n’aura pas lieu.",
        given(fact("by"), (who) => `Annoncée par ${who}.`),
      ),
    "sla-warning": (fact, flag) =>
      tell(
        `${flag} : ${wordIn(PROMISES, fact("promise"))} proche de la limite${whose(fact)}`,
        `L’essentiel du budget d’erreur pour ${wordIn(PROMISES, fact("promise"))} est consommé${whose(fact)}.`,
        figures(fact),
        "",
        `Prudence avant toute nouvelle étape : crossfade sla status --flag ${flag}`,
      ),
    "sla-breached": (fact, flag) =>
      tell(
        `${flag} : engagement rompu sur ${wordIn(PROMISES, fact("promise"))}${whose(fact)}`,
        `L’engagement sur ${wordIn(PROMISES, fact("promise"))} n’est pas tenu${whose(fact)}.`,
        figures(fact),
        "Il compte comme rétabli quand il a de nouveau été tenu un certain temps.",
        `Cherchez la cause et retenez les étapes suivantes : crossfade sla status --flag ${flag}`,
      ),
    "sla-recovered": (fact, flag) =>
      tell(
        `${flag} : engagement de nouveau tenu sur ${wordIn(PROMISES, fact("promise"))}`,
        `L’engagement sur ${wordIn(PROMISES, fact("promise"))} est de nouveau tenu${fact("state") === "warning" ? ", mais il reste peu du budget" : ""}.`,
        figures(fact),
      ),
    "store-lost": (fact) =>
      tell(
        "Le magasin des réglages est injoignable",
        join(
          "Le magasin des réglages est injoignable.",
          given(fact("reason"), (reason) => `Détail : ${reason.replace(/\.$/, "")}.`),
        ),
        "Le trafic continue avec les derniers réglages valides. Aucun déploiement ne bouge, ni en avant ni en arrière ; les chiffres du parc ne sont plus réunis.",
        "De nouveaux essais ont lieu sans cesse.",
        "Rétablissez le magasin. En cas d’urgence, l’arrêt d’urgence fonctionne sur chaque instance : crossfade kill --flag FLAG",
      ),
    "store-back": () =>
      tell(
        "Le magasin des réglages est de nouveau joignable",
        "Le magasin des réglages est de nouveau joignable.",
        "Les déploiements reprennent là où ils en étaient.",
      ),
    test: (fact) =>
      tell(
        `Essai du canal ${fact("channel")}`,
        `Ceci est un essai${given(fact("by"), (who) => ` demandé par ${who}`)}. Si vous le lisez, le canal ${fact("channel")} fonctionne.`,
        "Il ne s’est rien passé, et il n’y a rien à faire.",
      ),
  },
  flow: [
    (fact, flag, state) =>
      tell(
        rollbackTitle(fact, flag),
        join(`Un retour arrière de ${flag} depuis ${at(fact) || "la version candidate"} a commencé${by(fact)}.`, because(fact)),
        "Tout le monde revient à la version stable ; les utilisateurs reçoivent leurs réponses sans interruption.",
        state,
        "D’autres messages suivront.",
      ),
    (fact, flag, state) =>
      tell(
        `${flag} : où en est le retour arrière`,
        state,
        fact("took") === ""
          ? "Tant que tous n’ont pas confirmé, des utilisateurs sont peut-être encore sur la version candidate."
          : "Les clients sont servis par la version stable.",
        because(fact),
        "La cause est recherchée.",
      ),
    (fact, flag, state) =>
      tell(
        `${flag} : ce que l’on sait du retour arrière`,
        join(`Le retour s’est fait depuis ${at(fact) || "la version candidate"}.`, because(fact)),
        state,
        given(fact("trigger"), (name) => `Il a été décidé par le déclencheur ${name}.`),
        "La personne qui s’en occupe consigne ce qu’elle sait dans l’incident, pour la page d’état.",
      ),
    (fact, flag, state) =>
      tell(
        `${flag} : ce que le retour arrière change pour les clients`,
        "Les clients utilisent la version qu’ils connaissaient déjà ; rien ne leur est demandé.",
        state,
        because(fact),
        "Répondez aux clients qui posent la question ; corrigez la page d’état si elle dit autre chose.",
      ),
    (fact, flag, state) =>
      tell(
        `${flag} : analyse du retour arrière`,
        join(`Le retour depuis ${at(fact) || "la version candidate"} a eu lieu il y a deux heures.`, because(fact)),
        state,
        `Chiffres et historique : crossfade rollout status --flag ${flag}`,
        "Décidez qui trouve la cause, et pour quand. Rien ne reprend avant qu’elle soit connue.",
      ),
    (fact, flag, state) =>
      tell(
        `${flag} : bilan du retour arrière`,
        join(`Le retour depuis ${at(fact) || "la version candidate"} a eu lieu il y a un jour.`, because(fact)),
        state,
        "",
        "Consignez la cause, l’effet et ce qui change ; décidez ensuite d’une nouvelle date, ou de rester sur la version stable. C’est le dernier message à ce sujet.",
      ),
  ],
  frame: {
    over: "Terminé",
    reminder: (index) => `Rappel ${index}`,
    level: (level, policy) => `Escalade, niveau ${level} (${policy})`,
    flow: (after) => `Retour arrière +${after}`,
    since: (instant) => `Depuis : ${instant}.`,
    lasted: (length) => `Durée : ${length}.`,
    times: (count) => `C’est arrivé ${count} fois.`,
    late: (length) => `Ce message a ${length} de retard : il n’a pas pu être envoyé plus tôt.`,
    acknowledged: (who, instant) => `${who} s’en occupe (pris en compte : ${instant}).`,
    resolved: (instant) => `C’est terminé depuis : ${instant}.`,
    nobody: "Personne ne l’a encore pris en compte.",
    called: (level) => `Vous êtes appelé parce que personne ne l’a pris en compte ; c’est le niveau ${level}.`,
    acknowledge: "Prendre en compte",
    byCommand: "Prendre en compte par commande",
    dashboard: "Tableau de bord",
    notice: "Avis",
    severity: "Gravité",
    flag: "Drapeau",
    units: { d: "j", h: "h", min: "min", s: "s" },
  },
};
